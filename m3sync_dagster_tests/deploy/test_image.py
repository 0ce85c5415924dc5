"""The Dockerfile agrees with the files that use its image; ``make image`` builds it."""

import re
import tomllib

from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.deploy.compose_file import compose
from m3sync_dagster_tests.deploy.helm_chart import values
from m3sync_dagster_tests.deploy.manifests import kustomization, objects, pods, settings

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def test_files_that_are_copied_into_it_exist() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    files = {name for line in copied for name in line.split()}
    assert {"constraints.txt", "m3sync_dagster", "dagster.yaml"} <= files
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_its_user_is_that_of_every_pod() -> None:
    (user,) = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    contexts = [pod["spec"]["securityContext"] for _, pod in pods(objects())]
    assert {f"{one['runAsUser']}:{one['runAsGroup']}" for one in contexts} == {user}
    assert compose()["x-m3sync"]["user"] == user


def test_its_folders_are_those_that_are_mounted() -> None:
    folders = dict(re.findall(r"(DAGSTER_HOME|M3SYNC_DEFS)=(\S+)", DOCKERFILE))
    launcher = settings()["run_launcher"]["config"]
    mounts = {one["name"]: one["mount_path"] for one in launcher["volume_mounts"]}
    assert folders == {"DAGSTER_HOME": mounts["dagster"], "M3SYNC_DEFS": mounts["defs"]}
    assert launcher["dagster_home"] == values()["global"]["dagsterHome"] == mounts["dagster"]


def test_its_tag_is_the_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (image,) = kustomization()["images"]
    (deployment,) = values()["dagster-user-deployments"]["deployments"]
    tags = {image["newTag"], deployment["image"]["tag"]}
    assert tags | {compose()["x-m3sync"]["image"].rpartition(":")[2]} == {version}
    assert f"--tag m3sync:{version} " in DOCKERFILE
