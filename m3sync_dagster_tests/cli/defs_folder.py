"""The folder with the integration ``acme`` and the sandbox's credentials, for most tests."""

from pathlib import Path

DEFS = Path(__file__).parent / "defs"
"""Its ``defs.yaml`` files."""
