"""The same as ``cli.command_processes``, with ingest jobs for as few rows as a variable says."""

import os

from m3sync_dagster.salesforce import client
from m3sync_dagster.sync import engine
from m3sync_dagster_tests.cli.command_processes import main

JOBS_ABOVE = "M3SYNC_MODEL_JOBS_ABOVE"
"""The environment variable: ingest jobs send what is more than so many rows."""

if __name__ == "__main__":
    for module in (engine, client):
        vars(module)["COLLECTIONS_UP_TO"] = int(os.environ[JOBS_ABOVE])
    main()
