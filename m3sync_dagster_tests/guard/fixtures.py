"""Runs, schedules and a post office, for what outlives a run."""

import contextlib
import ssl
from asyncio import Server
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import dagster as dg
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.load_target import WorkspaceFileTarget

from m3sync_dagster.dagster_internals import ScheduleInstigatorData
from m3sync_dagster.guard import sensor as guard
from m3sync_dagster.guard.guarded_integration import GuardedIntegration, Person, UserDirectory
from m3sync_dagster.guard.health_policy import LATE_AFTER
from m3sync_dagster.guard.schedules import Schedule, read_schedules, start
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import (
    GuardState,
    connect,
    list_events,
    postgres_url,
    read_guard_state,
)
from m3sync_dagster_tests.conftest import ROOT

Status = dg.DagsterRunStatus
(LOCATION,) = WorkspaceFileTarget([str(ROOT / "workspace.yaml")]).create_origins()
JOB = "salesforce_sync"


_ENDS = {
    Status.FAILURE: dg.DagsterEventType.RUN_FAILURE,
    Status.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    Status.CANCELED: dg.DagsterEventType.RUN_CANCELED,
}


def asset(integration: str, entity: str = "account") -> dg.AssetKey:
    return dg.AssetKey([integration, f"salesforce_{entity}"])


def nobody() -> contextlib.AbstractContextManager["Nobody"]:
    return contextlib.nullcontext(Nobody())


class Nobody:
    """An organization without users."""

    def users(self, ids: Sequence[str]) -> list[Person]:
        assert ids
        return []


@dataclass
class Fleet:
    """Integrations whose runs a test writes down itself."""

    instance: dg.DagsterInstance
    watched: dict[str, GuardedIntegration] = field(default_factory=dict)

    def add(
        self,
        name: str,
        *,
        started: bool = True,
        notify: tuple[str, ...] = (),
        entities: Sequence[str] = ("account",),
    ) -> None:
        assets = tuple(asset(name, entity) for entity in entities)
        self.watched[name] = GuardedIntegration(
            name, f"{name}_hourly", assets, notify, UserDirectory("nobody", nobody)
        )
        if started:
            self.start(name)

    def start(self, name: str) -> None:
        start(self.instance, LOCATION, f"{name}_hourly", "3 * * * *")

    def let_be_late(self) -> None:
        """Let each schedule have been started so long ago that its integration is late."""
        for schedule in read_schedules(self.instance, None).values():
            data = schedule.state.instigator_data
            assert isinstance(data, ScheduleInstigatorData)
            assert data.start_timestamp
            earlier = data.start_timestamp - LATE_AFTER - 1
            begun = ScheduleInstigatorData(data.cron_schedule, earlier)
            self.instance.update_instigator_state(schedule.state.with_data(begun))

    def schedule(self, name: str) -> Schedule:
        return read_schedules(self.instance, "m3sync")[f"{name}_hourly"]

    def run(
        self,
        name: str,
        status: Status = Status.FAILURE,
        *,
        tagged: bool = True,
        root: str | None = None,
        tags: dict[str, str] | None = None,
        entities: Sequence[str] = ("account",),
    ) -> dg.DagsterRun:
        """A run that ends now, unless its status says that it has not ended."""
        ours = {INTEGRATION_TAG: name} if tagged else {}
        ends = status in _ENDS
        run: dg.DagsterRun = create_run_for_test(
            self.instance,
            job_name=JOB,
            status=Status.STARTED if ends else status,
            tags={**ours, **(tags or {})},
            asset_selection=frozenset(asset(name, entity) for entity in entities),
            root_run_id=root,
            parent_run_id=root,
            remote_job_origin=RemoteRepositoryOrigin(LOCATION, "__repository__").get_job_origin(
                JOB
            ),
        )
        if ends or status is Status.STARTED:
            start = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, JOB)
            self.instance.report_dagster_event(start, run.run_id)
        if ends:
            self.end(run, status)
        return run

    def end(self, run: dg.DagsterRun, status: Status = Status.FAILURE) -> None:
        """Let a run end now."""
        event = dg.DagsterEvent(_ENDS[status].value, run.job_name)
        self.instance.run_storage.handle_run_event(run.run_id, event)

    def fail(self, name: str, times: int = 1) -> list[dg.DagsterRun]:
        return [self.run(name) for _ in range(times)]


@pytest.fixture
def fleet(instance: dg.DagsterInstance) -> Fleet:
    return Fleet(instance)


def tick(fleet: Fleet) -> str:
    return guard.tick(fleet.instance, fleet.watched, LOCATION.location_name)


def state(name: str = "acme") -> GuardState:
    with connect(postgres_url()) as connection:
        return read_guard_state(connection, name)


def events(name: str) -> list[str]:
    with connect(postgres_url()) as connection:
        return [one.name for one in reversed(list_events(connection, name))]


def changes() -> list[str]:
    """Every change of state that somebody is to be told of, without the run's id."""
    with connect(postgres_url()) as connection:
        rows = connection.execute("SELECT change FROM m3sync.notice ORDER BY id").fetchall()
    return [change.rpartition(":")[0] for (change,) in rows]


def about_failures() -> list[str]:
    """The changes that runs cause, without those of integrations that are late."""
    return [change for change in changes() if not change.endswith(":late")]


@dataclass
class PostOffice:
    """A mail server on loopback that takes mail over TLS alone, from one user."""

    url: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    """The Message-ID of each mail that was brought, taken or not."""
    refuse: list[str] = field(default_factory=list)
    """Answers to the next mails, instead of taking them."""
    before_mail: Callable[[], None] = lambda: None
    before_answer: Callable[[], None] = lambda: None
    """What happens when a sender comes, and when a mail is taken and the sender waits."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.before_mail()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert session.ssl is not None
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.attempts.append(str(mail["Message-ID"]))
        if self.refuse:
            return self.refuse.pop(0)
        self.mails.append(mail)
        self.before_answer()
        return "250 OK"

    def subjects(self, address: str) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails if address in str(mail["To"])]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority's file, and what a server on loopback shows."""
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    return path, context


@contextlib.contextmanager
def open_office(office: PostOffice, context: ssl.SSLContext, port: int = 0) -> Iterator[PostOffice]:
    """Let a post office take mail for as long as the block lasts."""
    controller = _Controller(
        office,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        auth_require_tls=True,
        authenticator=lambda _server, _session, _envelope, _mechanism, given: AuthResult(
            success=(given.login, given.password) == (b"m3sync@example.com", b"s3cret/:@")
        ),
    )
    controller.start()
    port = controller.port
    office.url = f"smtp://m3sync%40example.com:s3cret%2F%3A%40@127.0.0.1:{port}"
    try:
        yield office
    finally:
        controller.stop()


class _Controller(Controller):
    """Takes any free port; aiosmtpd would try to reach itself at port 0."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd's is untyped


@pytest.fixture
def post_office(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostOffice]:
    path, context = authority
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with open_office(PostOffice(), context) as office:
        monkeypatch.setenv("M3SYNC_SMTP_URL", office.url)
        yield office
