"""What the integration user may do with the records of an object.

Sources: SOAP API guide, "Status Codes": CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY, "You do not have
permission to create, update, or activate the specified record", and
INSUFFICIENT_ACCESS_OR_READONLY. The messages are those that people quote in public questions.
"""

from xml.etree import ElementTree as ET

from m3sync_dagster.sandbox.salesforce.dx_source import text_of
from m3sync_dagster.sandbox.salesforce.errors import RowError
from m3sync_dagster.sandbox.salesforce.schema import ObjectDef


def withdraw(definition: ObjectDef) -> None:
    """Take all permissions of an object from the user, as for one that was just deployed."""
    definition.visible = definition.createable = False
    definition.updateable = definition.deletable = False


def grant(definition: ObjectDef, permissions: ET.Element) -> None:
    """Add what an ``objectPermissions`` element of a permission set allows."""
    allowed = {one: text_of(permissions, f"allow{one}") == "true" for one in _RIGHTS}
    definition.visible |= allowed["Read"]
    definition.createable |= allowed["Create"]
    definition.updateable |= allowed["Edit"]
    definition.deletable |= allowed["Delete"]


_RIGHTS = ("Read", "Create", "Edit", "Delete")


def require_save(definition: ObjectDef, *, new: bool) -> None:
    """Check that a record may be created, or edited.

    Raises:
        RowError: it may not.
    """
    if new and not definition.createable:
        message = f"entity type cannot be inserted: {definition.label}"
        raise RowError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message)
    if not new and not definition.updateable:
        raise _no_access()


def deletion_refused(definition: ObjectDef) -> RowError | None:
    """The error of a record that may not be deleted; ``None`` if it may."""
    return None if definition.deletable else _no_access()


def _no_access() -> RowError:
    message = "insufficient access rights on object id"
    return RowError("INSUFFICIENT_ACCESS_OR_READONLY", message)
