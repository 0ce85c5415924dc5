"""The YAML of an account's link to the CRM's own record."""

import dagster as dg
from pydantic import Field

from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.errors import ConfigurationError


class LinkConfig(dg.Model):
    """The lookup of an account to the CRM's own record."""

    field: str = Field(description="API name of the lookup on our object.")
    object: str = Field(default="Account", description="API name of the object it points to.")
    by: str | dict[str, str] = Field(
        default="external_mapping",
        description="external_mapping, {custom_field: NAME of m3ter's field with the Id}, or "
        "{code: FIELD of the object with the account's code}.",
    )


def account_link(config: LinkConfig) -> AccountLink:
    """The link, with what ``by`` says.

    Raises:
        ConfigurationError: ``by`` is none of the three ways.
    """
    by = {config.by: ""} if isinstance(config.by, str) else config.by
    way, name = next(iter(by.items()), ("", ""))
    if len(by) != 1 or way not in set(LinkBy) or (way == LinkBy.EXTERNAL_MAPPING) == bool(name):
        raise ConfigurationError(
            f"{config.by!r} is no way to find an account's record in the CRM",
            "Write by: external_mapping, by: {custom_field: NAME} or by: {code: FIELD}.",
            ("entities", "account", "link", "by"),
        )
    return AccountLink(config.field, config.object, LinkBy(way), name)
