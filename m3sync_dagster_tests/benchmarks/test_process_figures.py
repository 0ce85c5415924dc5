import os
import sys
from pathlib import Path

import pytest
from process_figures import Program, answer_of, measure
from stand_in import serving

WORK = """
import sys
held = bytearray(80 * 1024**2)
held[::4096] = b"x" * len(held[::4096])
sum(range(3_000_000))
print('noise {"error": 1}')
print('{"error": "none left"}')
sys.exit(3)
"""


def test_it_measures_a_program(tmp_path: Path) -> None:
    with serving() as url:
        program = Program([sys.executable, "-c", WORK], dict(os.environ), tmp_path)
        figures = measure(program, url)
    assert figures.code == 3
    assert figures.cpu > 0
    assert figures.memory > 80
    assert (figures.server_cpu, figures.server_memory) == (0.0, 0.0)
    assert figures.counts["rows"] == 0
    assert answer_of(figures.output) == {"error": "none left"}


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
