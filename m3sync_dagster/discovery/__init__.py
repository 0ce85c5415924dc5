"""Proposals of a mapping for an org whose objects and fields have unknown names."""
