"""The guard: counts failed runs and disables an integration after ten in a row."""
