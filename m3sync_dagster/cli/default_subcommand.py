"""Command groups whose subcommand ``list`` is the default."""

from typing import Any

from typer.core import TyperGroup

_LIST = "list"


class ListByDefault(TyperGroup):
    """A group with ``list`` as its default subcommand: ``m3sync events acme``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer does not export its context's type
        """Put ``list`` before arguments that do not begin with a subcommand."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [_LIST, *args]
        return list(super().parse_args(ctx, args))
