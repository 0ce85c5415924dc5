"""How a command ends: 0 done as asked, 1 it ran and something failed, 2 nothing was sent."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from m3sync_dagster.cli.output import complain, escape_unknown_characters
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.file_errors import file_error

FAILED = 1
"""It ran, and something failed: a sync, rows of it, or a system that cannot be reached."""
REFUSED = 2
"""Bad usage or configuration; nothing was sent."""


class Commands(TyperGroup):
    """The commands; what goes wrong in one is one message on standard error."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as typer's
        """Run the command line, whatever the terminal's encoding."""
        escape_unknown_characters()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer does not export its context's type
        """Run the chosen command.

        Raises:
            typer.Exit: it failed; the message has been shown.
        """
        try:
            return super().invoke(ctx)
        except Exception as error:
            known = error if isinstance(error, SyncError) else _trouble(error)
            if known is None:
                raise
            complain(str(known))
            raise typer.Exit(code_of(known)) from None


def _trouble(error: Exception) -> SyncError | None:
    """What the machine complains of, in our words; ``None`` for any other error."""
    return file_error(error) or _database_trouble(error)


def _database_trouble(error: Exception) -> SyncError | None:
    """What PostgreSQL complains of in the midst of a command; ``None`` for any other error."""
    if "psycopg2" not in sys.modules:
        return None
    from m3sync_dagster.state import explain

    return explain(error)


def code_of(error: SyncError) -> int:
    """The exit code of what went wrong before anything was sent."""
    return REFUSED if isinstance(error, ConfigurationError) else FAILED


def failed(error: SyncError) -> typer.Exit:
    """Show what went wrong once systems had been asked, and give the exit to raise."""
    complain(str(error))
    return typer.Exit(FAILED)
