"""Alembic migrations of the schema ``m3sync``."""
