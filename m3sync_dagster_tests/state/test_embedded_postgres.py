import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from m3sync_dagster.state import connect
from m3sync_dagster.state import embedded_postgres as embedded
from m3sync_dagster.sync.errors import RemoteError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

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


def test_it_is_shared_and_stops_with_its_last_user(folder: Path) -> None:
    first, second = _user(folder), _user(folder)
    url = _address(first)
    assert _address(second) == url
    _end(first)
    with connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    _end(second)
    assert not _answers(url)


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


def test_what_is_in_it_outlives_it(folder: Path) -> None:
    first = _user(folder)
    with connect(_address(first)) as connection:
        connection.execute("CREATE TABLE kept ()")
    _end(first)
    second = _user(folder)
    with connect(_address(second)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    _end(second)


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


def test_a_folder_that_cannot_be_used_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteError, match="M3SYNC_POSTGRES_URL"):
        embedded.start(tmp_path / "file" / "pg")


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


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@needs_root
def test_another_user_than_root_may_start_it_without_a_home_folder(folder: Path) -> None:
    folder.parent.parent.chmod(0o755)
    folder.parent.mkdir()
    folder.parent.chmod(0o777)
    assert started_by(65534, folder).startswith("postgresql://")


@needs_root
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
