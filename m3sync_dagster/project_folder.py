"""Where a project is, and where its ``defs.yaml`` files are.

Commands and the code location share this, so that they always read the same files. A project is the
clone of this repository, or a folder made by ``m3sync init``.
"""

import os
from collections.abc import Iterator
from pathlib import Path

DAGSTER_HOME = "DAGSTER_HOME"
"""Dagster's environment variable with the folder of its ``dagster.yaml``."""
DEFS = "M3SYNC_DEFS"
"""Environment variable with one more folder of ``defs.yaml`` folders."""
ONLY_INTEGRATION = "M3SYNC_ONLY_INTEGRATION"
"""Environment variable of a run's process: the one integration that it loads."""
DAGSTER_YAML = "dagster.yaml"
WORKSPACE_YAML = "workspace.yaml"
PACKAGE_DEFS = Path(__file__).parent / "defs"
"""The folder of ``defs.yaml`` folders in a clone."""

_CLONE = Path(__file__).parents[1]  # the folder site-packages where a wheel is installed


def project_root() -> Path | None:
    """The first of working directory, clone and ``DAGSTER_HOME`` that has Dagster's files."""
    names = (DAGSTER_YAML, WORKSPACE_YAML)
    for folder in _candidates():
        # os.path.isfile is false where this user may not look; Path.is_file raises an error there.
        if any(os.path.isfile(folder / name) for name in names):  # noqa: PTH113 - see above
            return folder.absolute()
    return None


def project_defs() -> Path:
    """The folder of a project's ``defs.yaml`` folders: ``defs/`` in it, or the package's."""
    root = project_root()
    if root is not None and (own := root / "defs").is_dir():
        return own
    return PACKAGE_DEFS


def defs_for_new_files() -> Path:
    """The folder in which new ``defs.yaml`` folders are made; it may not exist yet.

    It is never that of an installed package, whose files an upgrade deletes.
    """
    if outside := os.environ.get(DEFS):
        return Path(outside)
    used, root = project_defs(), project_root()
    if root is None or used != PACKAGE_DEFS or (_CLONE / DAGSTER_YAML).is_file():
        return used
    return root / "defs"


def demo_folder() -> Path:
    """The folder of the project of ``m3sync demo``, below the working directory."""
    return Path.cwd() / ".m3sync" / "demo"


def has_demo() -> bool:
    """Whether a demo runs in the working directory, or has run there."""
    return os.path.isfile(demo_folder() / DAGSTER_YAML)  # noqa: PTH113 - as above


def _candidates() -> Iterator[Path]:
    yield Path.cwd()
    yield _CLONE
    if home := os.environ.get(DAGSTER_HOME):
        yield Path(os.path.expanduser(home))  # noqa: PTH111 - Path.expanduser needs a home folder
