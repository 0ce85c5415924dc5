"""The valid attributes of a ``defs.yaml``, to suggest one for a mistyped name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import dagster as dg
from pydantic import BaseModel

from m3sync_dagster.components.account_link_config import LinkConfig
from m3sync_dagster.components.credential_components import M3terCredential, SalesforceCredential
from m3sync_dagster.components.salesforce_sync import EntitiesConfig, EntityConfig, SalesforceSync

_DOCUMENT = ("type", "attributes", "post_processing", "requirements", "template_vars_module")
"""The keys of a document, ``attributes`` among them. Source: Dagster's ``ComponentFileModel``."""
_COMPONENTS: dict[str, type[BaseModel]] = {
    kind.__name__: kind for kind in (SalesforceSync, M3terCredential, SalesforceCredential)
}


def no_such_component(kind: str) -> str | None:
    """The message that m3sync has no such component; ``None`` if it has, or it is another's."""
    package, _, name = kind.partition(".")
    if package != __package__.partition(".")[0] or name.rpartition(".")[2] in _COMPONENTS:
        return None
    meant = get_close_matches(name, _COMPONENTS, n=1)
    names = [f"{package}.{one}" for one in meant or _COMPONENTS]
    if meant:
        return f"there is no component {kind}; did you mean {names[0]}?"
    return f"there is no component {kind}. There are: {', '.join(names)}."


def no_such_attribute(component: str, where: Sequence[str]) -> str:
    """The message that there is no such attribute, with the one that may be meant.

    Args:
        component: the document's ``type``.
        where: the path of the attribute in the document.
    """
    name, known = where[-1], list(_known(component, where[:-1]))
    lower = {one.lower(): one for one in known}
    meant = get_close_matches(name.lower(), lower, n=1)
    if meant:
        return f"there is no attribute {name} here; did you mean {lower[meant[0]]}?"
    if known:
        return f"there is no attribute {name} here. There are: {', '.join(known)}."
    return f"there is no attribute {name} here. Delete it."


def _known(component: str, above: Sequence[str]) -> Iterable[str]:
    match list(above):
        case []:
            return _DOCUMENT
        case ["attributes"]:
            kind: type[BaseModel] = _COMPONENTS.get(component.rpartition(".")[2], dg.Model)
            return kind.model_fields
        case ["attributes", "entities"]:
            return list(EntitiesConfig.model_fields)
        case ["attributes", "entities", _]:
            return EntityConfig.model_fields
        case ["attributes", "entities", _, "link"]:
            return LinkConfig.model_fields
    return ()
