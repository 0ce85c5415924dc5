import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from m3sync_dagster import project_folder
from m3sync_dagster.cli import prepare_environment as environment
from m3sync_dagster.sync.errors import ConfigurationError

PROJECT = Path(__file__).parents[2]
GIVEN = "postgresql://user:password@host/database"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    monkeypatch.setattr(environment, "project_root", lambda: tmp_path)
    for name in ("DAGSTER_HOME", "M3SYNC_POSTGRES_URL", "ONE", "TWO"):
        # Set first, so that whatever is set meanwhile is undone at the end.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


def test_what_is_unset_is_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []
    monkeypatch.setattr(environment, "start_postgres", started.append)
    found = environment.prepare()
    assert os.environ["DAGSTER_HOME"] == str(root)
    assert started == [root / ".m3sync" / "postgres"]
    assert found.embedded


def test_what_is_set_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = root / "home"
    home.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", GIVEN)
    assert not environment.prepare().embedded
    assert os.environ["DAGSTER_HOME"] == str(home)
    assert os.environ["M3SYNC_POSTGRES_URL"] == GIVEN


def test_the_env_file_gives_what_the_environment_does_not(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".env").write_text(f'M3SYNC_POSTGRES_URL={GIVEN}\nONE="file # 1"\nTWO=file\n')
    monkeypatch.setenv("TWO", "environment")
    assert not environment.prepare().embedded
    assert (os.environ["ONE"], os.environ["TWO"]) == ("file # 1", "environment")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_an_env_file_may_begin_with_a_byte_order_mark(root: Path, encoding: str) -> None:
    (root / ".env").write_text(f"ONE=ä\nM3SYNC_POSTGRES_URL={GIVEN}\n", encoding)
    environment.prepare()
    assert os.environ["ONE"] == "ä"


ENV_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "utf-16": (lambda file: file.write_text("ONE=ä\n", "utf-16"), "is not in UTF-8"),
    "latin-1": (lambda file: file.write_text("ONE=ä\n", "latin-1"), "is not in UTF-8"),
    "utf-16 without a mark": (lambda file: file.write_text("ONE=a", "utf-16-le"), "embedded null"),
    "folder": (Path.mkdir, "cannot be read (Is a directory)"),
}


@pytest.mark.parametrize("kind", ENV_FILES)
def test_an_env_file_that_is_no_text_is_named(root: Path, kind: str) -> None:
    make, words = ENV_FILES[kind]
    make(root / ".env")
    with pytest.raises(ConfigurationError) as caught:
        environment.prepare()
    assert str(root / ".env") in str(caught.value)
    assert words in str(caught.value)


HOMES = {
    "no dagster.yaml": None,
    "an empty dagster.yaml": "",
    "no storage": "telemetry: {enabled: false}\n",
    "SQLite": "storage: {sqlite: {base_dir: /tmp}}\n",
    "SQLite for runs": "run_storage: {module: dagster.core.storage.runs, class: X, config: {}}\n",
    "no YAML": "storage: [",
    "no mapping": "storage",
}


@pytest.mark.parametrize("kind", HOMES)
def test_a_home_that_keeps_its_runs_elsewhere_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    home = root / "home"
    home.mkdir()
    if (text := HOMES[kind]) is not None:
        (home / "dagster.yaml").write_text(text)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with pytest.raises(ConfigurationError, match=str(home)):
        environment.prepare()
    assert not (root / ".m3sync").exists()


@pytest.mark.parametrize(
    "storage",
    [
        "storage: {postgres: {postgres_url: x}}",
        "storage: {custom: {module: dagster_postgres, class: X, config: {}}}",
        "run_storage: {module: dagster_postgres.run_storage, class: X, config: {}}",
    ],
)
def test_a_home_with_a_postgresql_of_its_own_is_taken(
    root: Path, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    home = root / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(f"{storage}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", GIVEN)
    assert not environment.prepare().embedded


@pytest.mark.parametrize("secret", ["hunter%2", "hunter/2", "hunter@2", "hun ter"])
def test_a_database_address_in_doubt_is_refused_before_anything_is_done(
    root: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", f"postgresql://user:{secret}@host/database")
    with pytest.raises(ConfigurationError, match="percent codes") as refused:
        environment.prepare()
    assert "hun" not in str(refused.value)


@pytest.mark.parametrize("home", ["relative", "/not/there/at/all"])
def test_a_home_that_is_none_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", home)
    with pytest.raises(ConfigurationError, match=home):
        environment.prepare()
    assert not (root / ".m3sync").exists()


def test_a_folder_without_a_project_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, code = tmp_path / "home", tmp_path / "code"
    home.mkdir()
    code.mkdir()
    monkeypatch.setattr(project_folder, "_CLONE", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.chdir(code)
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml.*m3sync init"):
        environment.project_root()
    (home / "dagster.yaml").write_text("")
    assert environment.project_root() == home
    (code / "workspace.yaml").write_text("")
    assert environment.project_root() == code


def test_a_project_has_its_own_defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workspace.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert project_folder.project_defs() == PROJECT / "m3sync_dagster" / "defs"
    (tmp_path / "defs").mkdir()
    assert project_folder.project_defs() == tmp_path / "defs"
