"""m3sync keeps Salesforce's records equal to m3ter's, as Dagster assets.

This package has the three component types of ``defs.yaml`` under the names that are written there:
``m3sync_dagster.SalesforceSync``, ``m3sync_dagster.M3terCredential`` and
``m3sync_dagster.SalesforceCredential``. They are imported when they are first used, because
importing Dagster takes more than a second and the sandbox does not need it.
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
