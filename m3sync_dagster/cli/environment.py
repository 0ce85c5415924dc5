"""What commands need around them: the project's root, its ``.env``, Dagster's home, PostgreSQL."""

import os
from dataclasses import dataclass
from pathlib import Path

from m3sync_dagster.sync.errors import ConfigurationError

DAGSTER_HOME = "DAGSTER_HOME"
POSTGRES_URL = "M3SYNC_POSTGRES_URL"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a command works.

    Args:
        root: the folder with ``dagster.yaml`` and ``workspace.yaml``.
        embedded: whether PostgreSQL is a server of our own, started for this project.
    """

    root: Path
    embedded: bool

    @property
    def workspace(self) -> Path:
        """Dagster's list of code locations: ours."""
        return self.root / "workspace.yaml"

    @property
    def own_folder(self) -> Path:
        """Where what we make for this machine is kept."""
        return self.root / ".m3sync"


def prepare() -> Environment:
    """Set ``DAGSTER_HOME`` and ``M3SYNC_POSTGRES_URL`` where they are unset, and the ``.env``'s.

    Raises:
        ConfigurationError: there is no project here, or ``DAGSTER_HOME`` is no folder.
        RemoteError: the embedded PostgreSQL does not start.
    """
    root = project_root()
    _load_env_file(root)
    _set_home(root)
    embedded = not os.environ.get(POSTGRES_URL)
    environment = Environment(root, embedded)
    if embedded:
        start_postgres(environment.own_folder / "postgres")
    return environment


def project_root() -> Path:
    """The folder with ``dagster.yaml``: around the package, the working directory, Dagster's home.

    Raises:
        ConfigurationError: none of them has one.
    """
    home = Path(os.environ.get(DAGSTER_HOME, "")).expanduser()
    for folder in (Path(__file__).parents[2], Path.cwd(), home):
        if (folder / "dagster.yaml").is_file():
            return folder.absolute()
    raise ConfigurationError(
        f"there is no dagster.yaml in {Path.cwd()}",
        "Change to the project's folder, which has dagster.yaml and workspace.yaml in it.",
    )


def _load_env_file(root: Path) -> None:
    """Set the variables of the project's ``.env``; one that is set already stays as it is."""
    from dotenv import load_dotenv

    load_dotenv(root / ".env")


def start_postgres(folder: Path) -> None:
    """Start the embedded server, and make it the one that everything here uses.

    Raises:
        RemoteError: it does not start.
    """
    from m3sync_dagster.state import embedded_postgres as embedded

    os.environ[POSTGRES_URL] = embedded.start(folder)


def _set_home(root: Path) -> None:
    home = os.environ.setdefault(DAGSTER_HOME, str(root))
    path = Path(home).expanduser()
    if not path.is_absolute() or not path.is_dir():
        raise ConfigurationError(
            f"{DAGSTER_HOME} is {home}, which is not the absolute path of a folder",
            f"Unset it, so that it becomes {root}; or make the folder, with a dagster.yaml in it.",
        )
