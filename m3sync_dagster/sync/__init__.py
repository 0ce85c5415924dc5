"""Deciding what to send: mapping, change detection, validation, plan and reconciliation.

It imports no Dagster, no HTTP client and no database driver.
"""
