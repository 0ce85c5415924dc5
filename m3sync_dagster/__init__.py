"""m3sync keeps Salesforce true to m3ter, as Dagster assets.

The three components that people write in YAML are here under the names that they write there:
``m3sync_dagster.SalesforceSync``, ``.M3terCredential`` and ``.SalesforceCredential``. They are
imported when they are first asked for, because Dagster takes more than a second to import and
the sandbox does not need it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m3sync_dagster.components import M3terCredential, SalesforceCredential, SalesforceSync

__all__ = ["M3terCredential", "SalesforceCredential", "SalesforceSync"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from m3sync_dagster import components  # noqa: PLC0415 - see the module's docstring

    return getattr(components, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
