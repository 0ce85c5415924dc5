"""The integrations of a project, as the guard and the daily schedule watch them."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from m3sync_dagster.components.credential_components import M3terCredential
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.components.load_project import Project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.components.schedule import schedule_name
from m3sync_dagster.components.verify_check import CHECK, VerifiedIntegration
from m3sync_dagster.guard.guarded_integration import GuardedIntegration, UserDirectory
from m3sync_dagster.m3ter import M3terSource
from m3sync_dagster.state import postgres_url
from m3sync_dagster.sync.errors import ConfigurationError

LOOKUP_RETRIES = 2
"""A look-up that fails is made again at a later tick."""


def guarded_integrations(project: Project) -> list[GuardedIntegration]:
    """Everything in a project that the guard has to watch."""
    credentials = project.of_type(M3terCredential)
    return [
        _guarded(component, credentials.get(component.m3ter_credential))
        for component in project.of_type(SalesforceSync).values()
        if isinstance(component, SalesforceSync)
    ]


def integrations_to_verify(project: Project) -> list[VerifiedIntegration]:
    """The integrations of a project, as the daily schedule verifies them."""
    return [
        VerifiedIntegration(
            component.name,
            component.salesforce_credential,
            [
                dg.AssetCheckKey(asset_key(component.name, name), CHECK)
                for name in component.carried
            ],
        )
        for component in project.of_type(SalesforceSync).values()
        if isinstance(component, SalesforceSync)
    ]


def _guarded(component: SalesforceSync, credential: object) -> GuardedIntegration:
    @contextmanager
    def directory() -> Iterator[M3terSource]:
        if not isinstance(credential, M3terCredential):
            raise ConfigurationError(
                f"{component.m3ter_credential} is no m3ter credential",
                "Give the integration the name of one.",
                ("m3ter_credential",),
            )
        opened = credential.resource().read()
        with M3terSource(opened, postgres_url(), LOOKUP_RETRIES) as organization:
            yield organization

    integration = component.integration()
    notify = integration.notify
    return GuardedIntegration(
        name=integration.name,
        schedule=schedule_name(integration.name),
        assets=tuple(asset_key(integration.name, entity) for entity in integration.entities),
        notify=integration.notify_users_if_disabled,
        directory=UserDirectory(component.m3ter_credential, directory),
        other_users=notify.users if notify else (),
        urls_env=notify.urls_env if notify else None,
        reject_limit=notify.limit if notify else None,
    )
