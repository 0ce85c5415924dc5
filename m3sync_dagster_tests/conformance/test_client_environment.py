from client_environment import REQUIREMENTS, _until_closed, version_of


def test_versions_are_those_of_the_requirements() -> None:
    assert version_of("m3ter") == "0.9.0"
    assert f"schemathesis=={version_of('schemathesis')}" in REQUIREMENTS.read_text().splitlines()


def test_reads_one_json_object_and_no_more() -> None:
    lines = iter(["{\n", '  "a": "1"\n', "}\n", "other\n"])
    assert "".join(_until_closed(lines)) == '{\n  "a": "1"\n}\n'
