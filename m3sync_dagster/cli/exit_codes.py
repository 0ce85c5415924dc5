"""Exit codes: 0 done as asked, 1 it ran and something failed, 2 nothing was sent."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from m3sync_dagster.cli.output import print_error
from m3sync_dagster.sync.disk_errors import file_error
from m3sync_dagster.sync.errors import ConfigurationError, SyncError

DONE = 0
FAILED = 1
"""It ran, and something failed: a sync, some rows, or an unreachable system."""
REFUSED = 2
"""Bad usage or configuration; nothing was sent."""


class Commands(TyperGroup):
    """The commands; an error of one becomes one message on standard error."""

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 - typer does not export its context's type
        """Run the chosen command.

        Raises:
            typer.Exit: it failed, and the message is printed.
        """
        try:
            return super().invoke(ctx)
        except Exception as error:
            known = error if isinstance(error, SyncError) else _known_error(error)
            if known is None:
                raise
            print_error(str(known))
            raise typer.Exit(code_of(known)) from None


def _known_error(error: Exception) -> SyncError | None:
    """An error of the operating system or PostgreSQL as ours; ``None`` for any other error."""
    return file_error(error) or _database_error(error)


def _database_error(error: Exception) -> SyncError | None:
    """An error of PostgreSQL as ours; ``None`` for any other error."""
    if "psycopg2" not in sys.modules:
        return None
    from m3sync_dagster.state import explain

    return explain(error)


def code_of(error: SyncError) -> int:
    """The exit code of an error that occurred before anything was sent."""
    return REFUSED if isinstance(error, ConfigurationError) else FAILED


def failed(error: SyncError) -> typer.Exit:
    """Print an error that occurred after rows were sent, and return the exit to raise."""
    print_error(str(error))
    return typer.Exit(FAILED)
