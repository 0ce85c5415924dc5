"""The Dagster resources: connections that a run opens once, and closes at its end.

Their configuration has only names of environment variables, so that no secret can reach run
configuration, logs or the UI. A run uses the in-process executor, so all its steps share them.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import PrivateAttr

from m3sync_dagster.components.step_failure import without_stack_traces
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource, ReadAhead
from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.runs.dead_runs import PROCESS_TAG, RELEASED
from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.state import (
    IntegrationLock,
    PostgresDescribeCache,
    PostgresLoginLog,
    RunState,
    connect,
    hold_run_lock,
    postgres_url,
    record_event,
    require_current_schema,
)
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.preflight_schema import Preflight


def read_env(credential: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Read a credential's environment variables; gives their values by attribute.

    Args:
        credential: its name.
        variables: the name of the variable of each attribute.

    Raises:
        ConfigurationError: some are unset or empty; it names all of them.
    """
    values = {attribute: os.environ.get(name, "") for attribute, name in variables.items()}
    missing = [attribute for attribute, value in values.items() if not value]
    if missing:
        raise ConfigurationError(
            _not_set(credential, {attribute: variables[attribute] for attribute in missing}),
            f"Set {'it' if len(missing) == 1 else 'them'} for Dagster's daemon, webserver and "
            "runs, for example in .env.",
            (missing[0],),
        )
    return values


def _not_set(credential: str, variables: Mapping[str, str]) -> str:
    *others, (attribute, name) = variables.items()
    if not others:
        return (
            f"the environment variable {name}, {attribute} of the credential {credential}, "
            "is not set"
        )
    listed = ", ".join(f"{variable} ({of})" for of, variable in others)
    return (
        f"the environment variables {listed} and {name} ({attribute}) of the credential "
        f"{credential} are not set"
    )


class LazyResource(dg.ConfigurableResource[object]):
    """A resource that connects at the first use, and closes its connections with the run."""

    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:  # noqa: ARG002 - Dagster's signature
        """Stay open for as long as a run does."""
        with self.opened():
            yield self

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Stay open for as long as the block does."""
        with self._opened:
            yield self

    @cached_property
    def postgres(self) -> KeptConnection:
        """For what is stored of a credential's logins and describes."""
        return self._opened.enter_context(closing(KeptConnection(postgres_url())))


class M3terResource(LazyResource):
    """An m3ter organization; see the component ``M3terCredential`` for each attribute."""

    credential: str
    organization_id_env: str
    access_key_id_env: str
    api_secret_env: str
    base_url_env: str
    requests_per_second: int

    def read(self) -> M3terAccessKey:
        """Read the environment.

        Raises:
            ConfigurationError: a variable is unset or has an invalid value.
        """
        given = {"base_url": os.environ[self.base_url_env]} if self._base_url_given() else {}
        values = read_env(
            self.credential,
            {
                "organization_id_env": self.organization_id_env,
                "access_key_id_env": self.access_key_id_env,
                "api_secret_env": self.api_secret_env,
            },
        )
        return M3terAccessKey(
            organization_id=values["organization_id_env"],
            access_key_id=values["access_key_id_env"],
            api_secret=values["api_secret_env"],
            requests_per_second=self.requests_per_second,
            **given,
        )

    @cached_property
    def organization(self) -> M3terSource:
        """The organization's client, made once. It sends no request before the first use.

        Raises:
            ConfigurationError: as for ``read``.
        """
        credential = self.read()
        logins = PostgresLoginLog(self.postgres, self.credential, credential.identity)
        return self._opened.enter_context(M3terSource(credential, postgres_url(), logins=logins))

    @cached_property
    def read_ahead(self) -> ReadAhead:
        """The same organization, whose lists a run reads at the same time.

        Raises:
            ConfigurationError: as for ``read``.
        """
        return self._opened.enter_context(closing(ReadAhead(self.organization)))

    def _base_url_given(self) -> bool:
        return bool(os.environ.get(self.base_url_env))


class SalesforceResource(LazyResource):
    """A Salesforce org; see the component ``SalesforceCredential`` for each attribute."""

    credential: str
    login_url_env: str
    client_id_env: str
    client_secret_env: str
    username_env: str | None
    private_key_file_env: str | None
    api_version: str

    def read(self) -> ConnectedApp:
        """Read the environment.

        Raises:
            ConfigurationError: a variable is unset or has an invalid value.
        """
        variables = {"login_url_env": self.login_url_env, "client_id_env": self.client_id_env}
        if self.username_env and self.private_key_file_env:
            variables["username_env"] = self.username_env
            variables["private_key_file_env"] = self.private_key_file_env
        else:
            variables["client_secret_env"] = self.client_secret_env
        values = read_env(self.credential, variables)
        if key_file := values.get("private_key_file_env"):
            private_key = self._read_key(Path(key_file))
            flow = {"username": values["username_env"], "private_key": private_key}
        else:
            flow = {"client_secret": values["client_secret_env"]}
        return ConnectedApp(
            login_url=values["login_url_env"],
            client_id=values["client_id_env"],
            api_version=self.api_version,
            **flow,
        )

    @cached_property
    def org(self) -> SalesforceClient:
        """The org's client, made once. It sends no request before the first use.

        Raises:
            ConfigurationError: as for ``read``.
        """
        credential = self.read()
        describes = PostgresDescribeCache(self.postgres, credential.identity)
        logins = PostgresLoginLog(self.postgres, self.credential, credential.identity)
        return self._opened.enter_context(
            closing(SalesforceClient(credential, describes=describes, logins=logins))
        )

    def preflight(
        self, integration: str, mappings: Callable[[], Mapping[str, FieldMapping]]
    ) -> Preflight:
        """The preflight check of an integration's run, made once for all of its entities.

        Args:
            integration: its name.
            mappings: returns the mappings of the run's entities.

        Raises:
            ConfigurationError: as for ``read`` and the mappings.
        """
        if integration not in self._preflights:
            self._preflights[integration] = Preflight(mappings(), self.org)
        return self._preflights[integration]

    _preflights: dict[str, Preflight] = PrivateAttr(default_factory=dict)

    def _read_key(self, path: Path) -> str:
        try:
            return path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigurationError(
                f"the private key file of the credential {self.credential} cannot be read "
                f"({reason})",
                f"Correct the path in {self.private_key_file_env}, or the file's permissions.",
                ("private_key_file_env",),
            ) from None


class StateResource(LazyResource):
    """m3sync's state in PostgreSQL, and the lock of the integration that a run syncs."""

    def lock_integration(self, integration: str) -> RunState:
        """Take an integration's lock until the end of the run, and return its state.

        Raises:
            SyncError: another run has the lock, or the tables do not exist.
        """
        if integration not in self._states:
            connection = self._opened.enter_context(connect(postgres_url()))
            require_current_schema(connection)
            self._opened.enter_context(IntegrationLock(connection, integration))
            self._states[integration] = RunState(connection, integration)
        return self._states[integration]

    def hold_run_lock(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, str]:
        """Hold a lock until the end of the run's last step, and return the tag that says so.

        ``m3sync run`` holds this lock itself, for longer.

        Raises:
            SyncError: PostgreSQL cannot be reached.
        """
        tag = {PROCESS_TAG: run.run_id}
        if self._run_locked or run.tags.get(PROCESS_TAG) == run.run_id:
            return tag
        connection = self._opened.enter_context(connect(postgres_url()))
        self._opened.enter_context(hold_run_lock(connection, run.run_id))
        # Before the lock is free: a run that is said to hold the lock and does not, is dead.
        self._opened.callback(instance.add_run_tags, run.run_id, {PROCESS_TAG: RELEASED})
        self._run_locked = True
        return tag

    def event(self, integration: str, entity: str, run_id: str, error: SyncError) -> None:
        """Record an error event, with or without the lock.

        Raises:
            SyncError: PostgreSQL cannot be reached, or the tables do not exist.
        """
        with connect(postgres_url()) as connection:
            require_current_schema(connection)
            record_event(connection, integration, entity, run_id, error)

    def hide_stack_traces(self) -> None:
        """Let Dagster record errors without a stack trace, until they are shown or the run ends."""
        self._opened.enter_context(self._hidden).enter_context(without_stack_traces())

    def show_stack_traces(self) -> None:
        """Let Dagster record errors with their stack traces again."""
        self._hidden.close()

    _hidden: ExitStack = PrivateAttr(default_factory=ExitStack)
    _states: dict[str, RunState] = PrivateAttr(default_factory=dict)
    _run_locked: bool = PrivateAttr(default=False)
