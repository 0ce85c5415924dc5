"""``m3sync init``: makes a project with one integration."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from m3sync_dagster.cli.output import print_message

DEFAULT_NAME = "acme"
"""The integration's name where the folder's is not a valid one."""

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="[DIR]",
        help="The project's folder, made if it is missing. The integration gets its name if that "
        "is a valid one.",
        show_default="this folder",
    ),
]


def init(folder: Folder = Path()) -> None:
    """Make a project: Dagster's settings, one integration and its credentials."""
    from m3sync_dagster.cli.write_project import CREDENTIALS, project_files, write_new
    from m3sync_dagster.components.integration import NAME, current_hour

    valid = NAME.fullmatch(folder.name) and folder.name != CREDENTIALS
    name = folder.name if valid else DEFAULT_NAME
    files = project_files(name, current_hour())
    write_new(folder, files)
    _explain(folder, name, list(files))


def _explain(folder: Path, name: str, files: list[str]) -> None:
    place = "this folder" if folder == Path() else str(folder)
    change = "" if folder == Path() else f"\n  cd {shlex.quote(str(folder))}"
    print_message(f"""\
The project is in {place}, with the integration {name}: {", ".join(files)}.
Next:{change}
  cp .env.example .env        then write the credentials into it
  m3sync check {name}
  m3sync plan {name}
  m3sync run {name}
  m3sync dev""")
