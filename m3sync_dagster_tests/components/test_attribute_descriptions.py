"""The texts of the attributes in Dagster's component docs."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from m3sync_dagster.components.credential_components import M3terCredential, SalesforceCredential
from m3sync_dagster.components.salesforce_sync import SalesforceSync


def attributes(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each attribute of a component and of the models below it, as the docs read them."""
    for name, model in {"": schema, **schema.get("$defs", {})}.items():
        for attribute, description in model["properties"].items():
            yield f"{name}.{attribute}".lstrip("."), description


@pytest.mark.parametrize("component", [SalesforceSync, M3terCredential, SalesforceCredential])
def test_each_attribute_has_a_description(component: type[dg.Component]) -> None:
    model = component.get_model_cls()
    assert model
    found = dict(attributes(model.model_json_schema()))
    assert "name" in found
    undescribed = [name for name, one in found.items() if not one.get("description")]
    assert undescribed == []
