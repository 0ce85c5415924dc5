"""The files of a new project, and writing files without overwriting any."""

from collections.abc import Mapping
from pathlib import Path

from m3sync_dagster.sync.errors import ConfigurationError

TEMPLATES = Path(__file__).parents[1] / "project_files"
"""The files of a new project; some under another name, because git and Dagster would read them."""
CREDENTIALS = "credentials"
"""The folder of the credentials, beside those of the integrations."""

_DAGSTER = ("dagster.yaml", "workspace.yaml", "dg.toml")


def dagster_files() -> dict[str, str]:
    """The files with Dagster's settings, which every project has."""
    return {name: _template(name) for name in _DAGSTER}


def project_files(integration: str, start: str) -> dict[str, str]:
    """All files of a project with one integration, by their path in it.

    Args:
        integration: its name.
        start: the key of its first hour.
    """
    written = _template("integration.yaml").replace("{name}", integration)
    return {
        **dagster_files(),
        f"defs/{integration}/defs.yaml": written.replace("{start}", start),
        f"defs/{CREDENTIALS}/defs.yaml": _template("credentials.yaml"),
        ".env.example": _template("env.example"),
        ".gitignore": _template("gitignore"),
    }


def write_new(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder; nothing if one of them exists.

    Raises:
        ConfigurationError: a file exists, or cannot be written.
    """
    existing = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if existing:
        raise ConfigurationError(
            f"{', '.join(str(folder / name) for name in existing)} exists already; nothing was "
            "written",
            "Name another folder, or move what is there.",
        )
    for name, text in files.items():
        _write(folder / name, text)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror})",
            "Name a folder in which this user may write.",
        ) from None


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")
