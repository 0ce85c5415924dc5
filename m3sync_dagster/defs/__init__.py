"""Integrations and credentials: one folder with a defs.yaml each."""
