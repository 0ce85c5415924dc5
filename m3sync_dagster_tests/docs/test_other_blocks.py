"""YAML, JSON and GraphQL of README and docs: integrations load, the others can be parsed."""

import configparser
import json
from pathlib import Path
from textwrap import dedent, indent

import graphql
import pytest
import yaml

from m3sync_dagster.components.credential_components import SalesforceCredential
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster_tests.conftest import DefsFolder
from m3sync_dagster_tests.docs.blocks import Block, all_blocks

LANGUAGES = {"sh", "text", "yaml", "json", "graphql", "ini", "nginx", "sql"}

INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_production
"""
CREDENTIALS = """\
type: m3sync_dagster.M3terCredential
attributes:
  name: m3ter_production
---
type: m3sync_dagster.SalesforceCredential
attributes:
  name: salesforce_production
"""


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in all_blocks() if block.language in languages]


def test_every_block_has_a_language_that_is_tested() -> None:
    assert {
        str(block): block.language for block in all_blocks() if block.language not in LANGUAGES
    } == {}


@pytest.mark.parametrize("block", blocks_in("yaml"), ids=str)
def test_yaml_is_an_integration_or_a_part_of_one(block: Block, defs_folder: DefsFolder) -> None:
    for folder, text in files_with(block.text).items():
        defs_folder.write(folder, text)
    assert [str(problem) for problem in load_project().problems] == []


def files_with(text: str) -> dict[str, str]:
    """The files of a project in which the reader has put a block where it belongs."""
    part = dedent(text)
    found = yaml.safe_load_all(part)
    keys = set(next(found))
    if "type" in keys:
        return {"example": part}
    if keys <= set(ENTITIES) | {"prepayment"}:
        return {"acme": f"{INTEGRATION}  entities:\n{indent(part, '    ')}\n"}
    if keys <= set(SalesforceCredential.model_fields):
        return {"credentials": f"{CREDENTIALS}{indent(part, '  ')}\n"}
    assert keys <= set(SalesforceSync.model_fields), keys
    entities = "" if "entities" in keys else "  entities:\n    account: {}\n"
    return {"acme": f"{INTEGRATION}{indent(part, '  ')}\n{entities}"}


@pytest.mark.parametrize("text", ["acount: {}", "accounts_ids: []", "type: m3sync_dagster.Sync"])
def test_yaml_that_nobody_can_use_is_found(text: str, defs_folder: DefsFolder) -> None:
    with pytest.raises(AssertionError):
        test_yaml_is_an_integration_or_a_part_of_one(
            Block(Path(), 0, "yaml", text, {}), defs_folder
        )


@pytest.mark.parametrize("block", blocks_in("json"), ids=str)
def test_json_can_be_parsed(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks_in("graphql"), ids=str)
def test_graphql_can_be_parsed(block: Block) -> None:
    graphql.parse(block.text)


@pytest.mark.parametrize("block", blocks_in("ini"), ids=str)
def test_units_of_systemd_can_be_parsed(block: Block) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block.text)
    assert "ExecStart" in parser["Service"]


@pytest.mark.parametrize("block", blocks_in("nginx"), ids=str)
def test_nginx_directives_end(block: Block) -> None:
    lines = [line.split(" #")[0].strip() for line in block.text.splitlines()]
    code = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in code if line[-1] not in ";{}"] == []
    assert block.text.count("{") == block.text.count("}")
