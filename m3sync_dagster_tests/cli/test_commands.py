import subprocess
import sys

from typer.testing import CliRunner

from m3sync_dagster.cli import app


def test_help_names_every_command_and_imports_no_dagster() -> None:
    script = (
        "import sys; sys.argv = ['m3sync', '--help']; from m3sync_dagster.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'dagster', 'sqlalchemy', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    for command in ("init", "dev", "demo", "migrate", "sandbox", "check", "plan", "run", "status"):
        assert f" {command} " in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_bad_usage_is_refused() -> None:
    for args in (["run"], ["nix"], ["status", "--nix"], ["dev", "--port", "many"]):
        assert CliRunner().invoke(app, args).exit_code == 2
