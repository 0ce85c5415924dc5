"""The records that point to a record, as the related lists on its page show them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ObjectDef

LISTED = 10
"""Records that a related list shows."""
_DETAILS = ("Code__c", "Amount__c", "Currency__c")
"""The fields that are shown besides a record's name, where its object has them."""


@dataclass(frozen=True, slots=True)
class RelatedRecord:
    """A record of a related list, with its own related lists if they are asked for.

    Args:
        salesforce_id: its Id.
        name: its name, or the Id if it has none.
        details: the values of a few fields.
        lists: the records that point to it.
    """

    salesforce_id: str
    name: str
    details: tuple[str, ...]
    lists: list["RelatedList"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RelatedList:
    """The records of one object that point to a record by one lookup.

    Args:
        definition: their object.
        count: how many there are.
        records: the first of them.
    """

    definition: ObjectDef
    count: int
    records: list[RelatedRecord]


def related_lists(
    org: Org, definition: ObjectDef, ids: Collection[str], levels: int
) -> Mapping[str, list[RelatedList]]:
    """The related lists of records, by their Ids; lists without a record are left out.

    Every object is read once for each level, however many records there are.

    Args:
        org: the org.
        definition: the records' object.
        ids: their Ids.
        levels: 2 adds to each record of a list its own related lists.
    """
    found: defaultdict[str, list[RelatedList]] = defaultdict(list)
    for child in org.schema:
        for lookup in child.visible_fields() if child.visible and levels and ids else ():
            if lookup.refers_to == definition.name:
                for parent, one in _lists(org, child, lookup, ids, levels).items():
                    found[parent].append(one)
    return found


def _lists(
    org: Org, child: ObjectDef, lookup: FieldDef, ids: Collection[str], levels: int
) -> dict[str, RelatedList]:
    """The list of each record that this lookup points to."""
    children = _children(org, child, lookup, ids)
    lists = {
        parent: RelatedList(child, len(records), records[:LISTED])
        for parent, records in children.items()
    }
    shown = {one.salesforce_id: one for of_one in lists.values() for one in of_one.records}
    for record_id, below in related_lists(org, child, shown.keys(), levels - 1).items():
        shown[record_id].lists.extend(below)
    return lists


def _children(
    org: Org, child: ObjectDef, lookup: FieldDef, ids: Collection[str]
) -> Mapping[str, list[RelatedRecord]]:
    """The records of an object, by the one that their lookup points to."""
    table = org.table(child.name)
    details = [one for name in _DETAILS if (one := child.fields.get(name)) and one.visible]
    fields = [child.fields["Name"], *details]
    # The slots first: the values then include those of a field that was added just now.
    slots = [table.slot(one) for one in (lookup, *fields)]
    children: defaultdict[str, list[RelatedRecord]] = defaultdict(list)
    for number, values in table.scan():
        parent, *own = (values[slot] for slot in slots)
        if isinstance(parent, str) and parent in ids:
            name, *texts = own
            record_id = table.id_of(number)
            shown = tuple(str(text) for text in texts if text is not None)
            children[parent].append(RelatedRecord(record_id, str(name or record_id), shown))
    return children
