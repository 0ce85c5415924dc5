"""What Dagster's Helm chart writes into ``dagster.yaml`` for our values.

Source: the chart's ``templates/configmap-instance.yaml`` and ``values.yaml``. Only what our values
use is here; the chart itself is not part of the tests.
"""

from typing import Any

import yaml

from m3sync_dagster_tests.conftest import ROOT

Values = dict[str, Any]

SWITCHES = {
    "run_coordinator": ("runCoordinator", "enabled"),
    "run_monitoring": ("runMonitoring", "enabled"),
    "run_retries": ("runRetries", "enabled"),
    "schedules": ("schedules", "useThreads"),
    "sensors": ("sensors", "useThreads"),
}
"""The settings of the daemon that the chart writes itself unless they are off, and what is on."""


def values() -> Values:
    """The values of this project."""
    loaded: Values = yaml.safe_load((ROOT / "deploy" / "helm" / "values.yaml").read_text())
    return loaded


def written_by_the_chart(given: Values) -> set[str]:
    """The settings that the chart takes from values of its own, with a choice of keys."""
    daemon = given["dagsterDaemon"]
    on = {name for name, (part, key) in SWITCHES.items() if daemon.get(part, {}).get(key, True)}
    return on | ({"retention"} if given["retention"]["enabled"] else set())


def dagster_yaml(given: Values) -> Values:
    """The settings, with Dagster's own storage and run launcher."""
    scheduler = given["scheduler"]["config"]["daemonScheduler"]
    logs = {"module": "dagster.core.storage.noop_compute_log_manager"}
    return {
        "telemetry": given["telemetry"],
        "scheduler": {
            "module": "dagster.core.scheduler",
            "class": given["scheduler"]["type"],
            "config": {"max_tick_retries": scheduler["maxTickRetries"]},
        },
        "compute_logs": logs | {"class": given["computeLogManager"]["type"]},
        "run_launcher": {
            "module": "dagster_k8s",
            "class": given["runLauncher"]["type"],
            "config": {
                "dagster_home": given["global"]["dagsterHome"],
                "instance_config_map": "dagster-instance",
                "service_account_name": "dagster",
                "job_namespace": "default",
                "postgres_password_secret": "dagster-postgresql-secret",
            },
        },
        **_storages(given["postgresql"]),
        **given["additionalInstanceConfig"],
    }


def _storages(database: Values) -> Values:
    config = {
        "postgres_db": {
            "username": database["postgresqlUsername"],
            "password": {"env": "DAGSTER_PG_PASSWORD"},
            "hostname": database["postgresqlHost"],
            "db_name": database["postgresqlDatabase"],
            "port": 5432,
        }
    }
    kinds = {"run": "Run", "event_log": "EventLog", "schedule": "Schedule"}
    modules = {"run": "run_storage", "event_log": "event_log", "schedule": "schedule_storage"}
    return {
        f"{name}_storage": {
            "module": f"dagster_postgres.{modules[name]}",
            "class": f"Postgres{kind}Storage",
            "config": config,
        }
        for name, kind in kinds.items()
    }
