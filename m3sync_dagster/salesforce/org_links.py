"""Links to an org's pages in Salesforce's user interface.

Source: Lightning Aura Components Developer Guide, "pageReference Types", Object Page and Record
Page, with the format of each page's address. Salesforce forwards a browser from the My Domain host
of the API to the host of its pages, and asks a user who is not logged in to log in.
"""

from dataclasses import dataclass
from urllib.parse import quote

from m3sync_dagster.url_parts import shown_address


@dataclass(frozen=True, slots=True)
class OrgLinks:
    """The addresses of one org's pages.

    Args:
        instance_url: the org's address, such as ``https://acme.my.salesforce.com``.
    """

    instance_url: str

    def record(self, object_name: str, salesforce_id: str) -> str:
        """The page of a record."""
        return self._page("r", object_name, salesforce_id, "view")

    def list_view(self, object_name: str) -> str:
        """The list view of an object that the user has opened last."""
        return self._page("o", object_name, "list")

    def _page(self, *parts: str) -> str:
        path = "/".join(quote(part, safe="") for part in parts)
        return f"{shown_address(self.instance_url)}/lightning/{path}"


def record_link(
    instance_url: str | None, object_name: str | None, salesforce_id: str | None
) -> str | None:
    """The page of a record; ``None`` if the org, the object or the Id is not known."""
    if not (instance_url and object_name and salesforce_id):
        return None
    return OrgLinks(instance_url).record(object_name, salesforce_id)
