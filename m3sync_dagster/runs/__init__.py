"""Run history, read from Dagster's storage, in m3ter's status words."""
