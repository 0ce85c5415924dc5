"""A command's environment: the project's root, its ``.env``, Dagster's home, PostgreSQL."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from m3sync_dagster import project_folder
from m3sync_dagster.project_folder import DAGSTER_HOME, DAGSTER_YAML, DEFS, WORKSPACE_YAML
from m3sync_dagster.sync.errors import ConfigurationError

POSTGRES_URL = "M3SYNC_POSTGRES_URL"
STORAGE = "m3sync_dagster.state.dagster_storage"
"""The storage module in the ``dagster.yaml`` of a project."""
_POSTGRES = (STORAGE, "dagster_postgres", "dagster_postgres.run_storage")
"""The modules that keep runs in PostgreSQL; Dagster's Helm chart names the last one."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The project that a command works on.

    Args:
        root: the folder with ``dagster.yaml`` or ``workspace.yaml``.
        embedded: whether PostgreSQL is the embedded server, started for this project.
    """

    root: Path
    embedded: bool

    @property
    def workspace(self) -> Path | None:
        """Dagster's list of code locations: in the project or in ``DAGSTER_HOME``."""
        folders = (self.root, Path(os.environ.get(DAGSTER_HOME, self.root)))
        files = (folder / WORKSPACE_YAML for folder in folders)
        return next((file for file in files if file.is_file()), None)

    @property
    def own_folder(self) -> Path:
        """The folder of the files that m3sync makes on this machine."""
        return self.root / ".m3sync"


def prepare() -> Environment:
    """Load ``.env``, and set ``DAGSTER_HOME`` and ``M3SYNC_POSTGRES_URL`` if they are unset.

    Raises:
        ConfigurationError: there is no project here, its ``.env`` cannot be read,
            ``DAGSTER_HOME`` does not keep runs in PostgreSQL, or ``M3SYNC_POSTGRES_URL`` is not
            the address of a PostgreSQL database.
        RemoteError: the embedded PostgreSQL does not start.
    """
    logging.getLogger().addFilter(_is_not_a_retry)
    root = project_root()
    _load_env_file(root)
    _set_home(root)
    embedded = not os.environ.get(POSTGRES_URL, "").strip()
    environment = Environment(root, embedded)
    if embedded:
        start_postgres(environment.own_folder / "postgres")
    else:
        _require_postgres_url()
    return environment


def project_root() -> Path:
    """The folder of the project that the command works on.

    Raises:
        ConfigurationError: there is none.
    """
    root = project_folder.project_root()
    if root is None:
        raise ConfigurationError(
            f"there is no project in {Path.cwd()}: neither {DAGSTER_YAML} nor {WORKSPACE_YAML}",
            f"Make one with m3sync init, or change to the folder of yours.{demo_hint()}",
        )
    return root


def demo_hint() -> str:
    """How to see the demo of this folder, if there is one."""
    has_demo = project_folder.has_demo()
    return " To see the demo of this folder, run: m3sync status --demo." if has_demo else ""


def enter_demo() -> None:
    """Change to the project of the demo that runs, or has run, in the working directory.

    Raises:
        ConfigurationError: there is none.
    """
    if not project_folder.has_demo():
        raise ConfigurationError(
            f"no demo has run in {Path.cwd()}", "Start one with m3sync demo, or change the folder."
        )
    # The demo's own values are in its .env.
    for name in (DAGSTER_HOME, POSTGRES_URL, DEFS):
        os.environ.pop(name, None)
    os.chdir(project_folder.demo_folder())


def _load_env_file(root: Path) -> None:
    """Set the variables of the project's ``.env`` that are not set yet.

    Raises:
        ConfigurationError: it is not UTF-8 text, or cannot be read.
    """
    from dotenv import load_dotenv

    path = root / ".env"
    try:
        if path.exists():
            # Editors on Windows may put a byte order mark before the text.
            load_dotenv(stream=StringIO(path.read_text("utf-8-sig")))
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{path} is not in UTF-8", "Save the file in the encoding UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror})",
            "Make it a file that this user may read, or remove it.",
        ) from None
    except ValueError as error:
        raise ConfigurationError(
            f"{path} has a value that no variable can have ({error})",
            "Write the file again, as text in the encoding UTF-8.",
        ) from None


def start_postgres(folder: Path) -> None:
    """Start the embedded server, and set its address in the environment.

    Raises:
        RemoteError: it does not start.
    """
    from m3sync_dagster.state import embedded_postgres as embedded

    os.environ[POSTGRES_URL] = embedded.start(folder)


def _is_not_a_retry(record: logging.LogRecord) -> bool:
    """Drop Dagster's message about each repeated connection attempt to PostgreSQL.

    A command prints one error message after the last attempt.
    """
    return not record.getMessage().startswith("Retrying failed database connection")


def _require_postgres_url() -> None:
    """Refuse an invalid address before anything else is done."""
    from m3sync_dagster.state import postgres_url

    postgres_url()


def _set_home(root: Path) -> None:
    home = os.environ.setdefault(DAGSTER_HOME, str(root))
    path = Path(os.path.expanduser(home))  # noqa: PTH111 - Path.expanduser needs a home folder
    if not path.is_absolute() or not path.is_dir():
        raise ConfigurationError(
            f"{DAGSTER_HOME} is {home}, which is not the absolute path of a folder",
            f"Unset it, so that it becomes {root}; or make the folder, with a dagster.yaml in it.",
        )
    if not _keeps_runs_in_postgres(path / DAGSTER_YAML):
        unset = "" if path == root else f"unset it, so that it becomes {root}; or "
        remedy = f"{unset}give that dagster.yaml the storage of the one that m3sync init writes."
        raise ConfigurationError(
            f"{DAGSTER_HOME} is {home}, and no dagster.yaml there keeps Dagster's runs in "
            "PostgreSQL, where m3sync finds them",
            remedy[0].upper() + remedy[1:],
        )


def _keeps_runs_in_postgres(dagster_yaml: Path) -> bool:
    """Whether this instance keeps its runs in PostgreSQL; Dagster's default is SQLite.

    Raises:
        ConfigurationError: it cannot be read.
    """
    import yaml

    try:
        config = yaml.safe_load(dagster_yaml.read_text("utf-8-sig"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{dagster_yaml} cannot be read ({' '.join(str(error).split())})",
            "Correct the file.",
        ) from None
    storage = _mapping(config, "storage")
    modules = (
        _mapping(storage, "custom").get("module"),
        _mapping(config, "run_storage").get("module"),
    )
    return "postgres" in storage or any(module in _POSTGRES for module in modules)


def _mapping(config: object, key: str) -> Mapping[object, object]:
    """What a file has under a key; empty if it is missing, or is not a mapping."""
    found = config.get(key) if isinstance(config, Mapping) else None
    return found if isinstance(found, Mapping) else {}
