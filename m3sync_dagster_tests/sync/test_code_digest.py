"""The digest of our code changes with the modules that turn a record into a row, and no others."""

import shutil
from pathlib import Path

import pytest

from m3sync_dagster.sync import code_digest

CODE = Path(code_digest.__file__).parents[1]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our code that a test may change."""
    for folder in ("entities", "sync"):
        shutil.copytree(CODE / folder, tmp_path / folder, ignore=lambda *_: ["__pycache__"])
    monkeypatch.setattr(code_digest, "files", {"m3sync_dagster": tmp_path}.__getitem__)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        ("entities/account.py", True),
        ("entities/new.py", True),
        ("entities/notes.txt", False),
        ("sync/converters.py", True),
        ("sync/engine.py", False),
    ],
)
def test_a_changed_file_changes_the_digest_if_it_decides_rows(
    package: Path, name: str, decides: bool
) -> None:
    assert code_digest._code_digest() == code_digest.CODE_DIGEST
    with (package / name).open("a") as file:
        file.write("# a change\n")
    assert (code_digest._code_digest() != code_digest.CODE_DIGEST) is decides
