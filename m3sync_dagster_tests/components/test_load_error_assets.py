"""What the UI shows of a file that is not loaded."""

from pathlib import Path

from m3sync_dagster.components.load_error_assets import WIDTH, load_error_assets
from m3sync_dagster.components.load_errors import LoadError


def test_a_long_message_is_shown_in_whole_lines_of_the_page() -> None:
    path = Path("/projects/of_the_department/defs/wayne/defs.yaml")
    message = f"{path}:6, attributes.namespace: {'one word after another ' * 9}end."
    (asset,) = load_error_assets([LoadError(path, message, "wayne")])
    lines = str(asset.description).splitlines()
    assert lines[0] == "wayne is not loaded."
    shown = lines[lines.index("```") + 1 : -1]
    assert len(shown) > 1
    assert max(map(len, shown)) <= WIDTH
    assert " ".join(shown).split() == message.split()
