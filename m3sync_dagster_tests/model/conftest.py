"""The world of the model: started once, reset for each example."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from m3sync_dagster_tests.databases import new_database
from m3sync_dagster_tests.model.scenario import Scenario
from m3sync_dagster_tests.model.world import World, world


@pytest.fixture(scope="package")
def the_world(
    postgres_server: str, dagster_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """m3ter, two Salesforce orgs and a database."""
    with new_database(postgres_server, dagster_template) as url:
        with psycopg.connect(url, autocommit=True) as database:
            # No example outlives a crash of the server.
            name = make_url(url).database
            database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        with world(tmp_path_factory.mktemp("defs"), url) as made:
            yield made


@pytest.fixture
def scenario(the_world: World) -> Scenario:
    """An example that begins with nothing on either side."""
    the_world.reset()
    return Scenario(the_world)
