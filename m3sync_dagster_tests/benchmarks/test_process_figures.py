import os
import subprocess
import sys
from pathlib import Path

import pytest
from process_figures import Program, _peak, answer_of, measure
from stand_in import serving

WORK = """
import sys
print('noise {"error": 1}')
print('{"error": "none left"}')
sys.exit(3)
"""
HOLD = """
import sys
held = b"x" * (int(sys.argv[1]) * 1024**2)
print("ready", flush=True)
sys.stdin.read()
"""


def test_it_measures_a_program(tmp_path: Path) -> None:
    with serving() as url:
        program = Program([sys.executable, "-c", WORK], dict(os.environ), tmp_path)
        figures = measure(program, url)
    assert figures.code == 3
    assert figures.cpu > 0
    assert (figures.server_cpu, figures.server_memory) == (0.0, 0.0)
    assert figures.counts["rows"] == 0
    assert answer_of(figures.output) == {"error": "none left"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")
@pytest.mark.parametrize("size", [1, 90])
def test_the_peak_of_a_process_is_its_own(size: int) -> None:
    held_here = b"x" * (200 * 1024**2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        peak = _peak(process.pid)
        process.communicate()
    assert size * 1024**2 < peak < (size + 50) * 1024**2 < len(held_here)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ('{\n  "status": "COMPLETE"\n}\n', {"status": "COMPLETE"}),
        ('progress\n{"a": 1}', {"a": 1}),
        ('{"a": 1}\n{"b": 2}', {"b": 2}),
        ("Traceback", {"error": "\nTraceback"}),
    ],
)
def test_the_last_json_object_is_the_answer(printed: str, expected: dict[str, object]) -> None:
    assert answer_of(printed) == expected
