import os
from pathlib import Path

import pytest

from m3sync_dagster.cli import environment
from m3sync_dagster.sync.errors import ConfigurationError

GIVEN = "postgresql://user:password@host/database"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text("")
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
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml"):
        environment.project_root()
    (tmp_path / "dagster.yaml").write_text("")
    assert environment.project_root() == tmp_path
