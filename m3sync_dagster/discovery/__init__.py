"""Proposals: a mapping for an org with unknown names, integrations from m3ter's hosted ones."""
