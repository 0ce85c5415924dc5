"""The record types against m3ter's own description of them."""

import inspect

import pytest
from m3ter.types import (
    AccountResponse,
    Balance,
    BillResponse,
    CommitmentResponse,
    ContractResponse,
)
from m3ter.types.bills import LineItemResponse
from pydantic import BaseModel

from m3sync_dagster.entities import DEFAULT_ENTITIES, ENTITIES, EntityType, FieldKind

DOCUMENTED: dict[str, type[BaseModel]] = {
    "account": AccountResponse,
    "contract": ContractResponse,
    "commitment": CommitmentResponse,
    "balance": Balance,
    "bill": BillResponse,
    "bill_line_item": LineItemResponse,
}
NOT_MAPPED_BY_DEFAULT = {"id", "customFields", "lineItems"}


def documented_fields(model: type[BaseModel]) -> set[str]:
    """The JSON names of a response model of m3ter's SDK, nested address fields spelled out."""
    names = set()
    for name, field in model.model_fields.items():
        wire = field.alias or name
        nested = next(
            (t for t in getattr(field.annotation, "__args__", ()) if inspect.isclass(t)), None
        )
        if wire == "address" and nested and issubclass(nested, BaseModel):
            names |= {f"address.{f.alias or n}" for n, f in nested.model_fields.items()}
        else:
            names.add(wire)
    return names


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_documented_field_has_a_default_target(name: str) -> None:
    mapped = {f.source for f in ENTITIES[name].fields if f.kind is not FieldKind.TITLE}
    documented = documented_fields(DOCUMENTED[name])
    assert documented - mapped <= NOT_MAPPED_BY_DEFAULT
    assert mapped <= documented


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
def test_no_two_fields_go_to_one(entity: EntityType) -> None:
    targets = [f.salesforce for f in entity.fields]
    assert len(targets) == len(set(targets))


def test_line_items_are_the_only_type_that_is_off_unless_it_is_named() -> None:
    assert [name for name in ENTITIES if name not in DEFAULT_ENTITIES] == ["bill_line_item"]


def test_parents_decide_only_where_they_have_an_account_themselves() -> None:
    for entity in ENTITIES.values():
        if entity.scoped_by:
            parent = ENTITIES[entity.scoped_by]
            assert entity.scoped_by in entity.parents
            assert not entity.final_when
            assert (parent.scoped_by, bool(parent.account_filter)) == (None, True)


def test_parents_come_before_their_children() -> None:
    seen: set[str] = set()
    for name, entity in ENTITIES.items():
        assert entity.parents <= seen
        seen.add(name)


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
def test_lookups_point_to_entities_and_titles_to_fields(entity: EntityType) -> None:
    sources = {f.source for f in entity.fields} | {"id"}
    for field in entity.fields:
        assert (field.refers_to in ENTITIES) == (field.kind is FieldKind.LOOKUP)
        assert set(field.sources) <= sources
