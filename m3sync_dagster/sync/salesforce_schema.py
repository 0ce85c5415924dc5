"""An org, its objects and their fields, as far as a sync needs them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SalesforceField:
    """One field in a describe, as far as a sync needs it.

    Args:
        name: API name.
        type: describe's ``type``: ``string``, ``double``, ``reference`` and so on.
        length: most characters of a text field; 0 for other fields.
        precision, scale: digits in all, and after the decimal point, of a number field.
        nillable: whether it may be empty.
        createable, updateable: whether this user may write it on new and on existing records.
        label: the name in the user interface.
        filterable: whether queries can filter by it; ``None`` where the describe does not say.
        external_id, unique, case_sensitive: as for an external ID field; ``None`` where the
            describe does not say.
        refers_to: API names of the objects that a lookup may point to.
        relationship: the name under which a lookup is set by external ID; ``None`` for others.
        picklist: the active values of a picklist; empty for other fields.
        restricted: whether a picklist accepts only those values.
        defaulted: whether Salesforce fills it in on create when it is left out; ``None`` where
            the describe does not say.
    """

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    filterable: bool | None = None
    external_id: bool | None = None
    unique: bool | None = None
    case_sensitive: bool | None = None
    refers_to: tuple[str, ...] = ()
    relationship: str | None = None
    picklist: tuple[str, ...] = ()
    restricted: bool = False
    defaulted: bool | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class SalesforceObject:
    """A describe of one object: its API name, its label and its fields by API name.

    ``createable`` and ``updateable`` say whether this user may write records of it at all.
    """

    name: str
    label: str
    fields: dict[str, SalesforceField]
    createable: bool = True
    updateable: bool = True


@dataclass(frozen=True, slots=True)
class OrgIdentity:
    """Which Salesforce org a login has reached.

    Args:
        organization_id: the org's 15-character Id, or a substitute if it is not known.
        user_id: the 15-character Id of the integration user; ``None`` where it is not known.
    """

    organization_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Organization:
    """An org's name and kind.

    Args:
        id: its 15-character Id.
        name: the name that its admin gave it.
        is_sandbox: whether it is a sandbox and not production.
        instance: the name of the instance that it runs on, such as ``USA1S``.
    """

    id: str
    name: str
    is_sandbox: bool
    instance: str
