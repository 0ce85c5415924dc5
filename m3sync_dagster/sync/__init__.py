"""The heart: what to send. It imports no Dagster, no HTTP and no database."""
