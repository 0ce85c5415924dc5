"""What outlives a run: disabling, notifying, reviewing."""
