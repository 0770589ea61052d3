"""`envbuild verify` of an image that was built, in a project with data: on both engines."""

import json
import os
from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from tests.rig.bases import PushedImage
from tests.rig.data_project import write_files
from tests.rig.engine import forget_at_the_end
from tests.rig.running import envbuild

pytestmark = [
    *(pytest.mark.engine, pytest.mark.network, pytest.mark.slow),
    pytest.mark.xdist_group("data"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

FILES = {"a.txt": b"first", "deep/b.txt": b"second"}


@pytest.mark.parametrize("engine", ["docker", "local"])
def test_verify_of_an_image_names_a_changed_byte_of_the_data(
    engine: str, engine_host: object, python_image: PushedImage, tmp_path: Path
) -> None:
    (tmp_path / "envbuild.toml").write_text(
        f"""name = "data-{engine}-{os.getpid()}"
python = "3.11"
platforms = ["linux/amd64"]
[base]
image = "{python_image.reference}"
[pip]
packages = ["six"]
[[data]]
name = "images"
"""
    )
    images = write_files(tmp_path / "data/images", FILES)
    environment = {"ENVBUILD_CACHE_DIR": str(tmp_path / "cache")}
    words = ("--engine", engine)
    envbuild("lock", folder=tmp_path, environment=environment)
    built = envbuild("build", *words, "--json", folder=tmp_path, environment=environment)
    if engine == "docker":
        forget_at_the_end(json.loads(built.stdout)["reference"])

    whole = envbuild("verify", *words, "--json", folder=tmp_path, environment=environment)
    results = {item["id"]: item["outcome"] for item in json.loads(whole.stdout)["results"]}
    assert results["data/images"] == "passed"
    # the image itself was looked at too
    assert len(results) > 10

    (images / "a.txt").write_bytes(b"First")
    changed = envbuild("verify", *words, folder=tmp_path, environment=environment, check=False)

    assert changed.returncode == 8
    told = changed.stdout + changed.stderr
    assert f"images: a.txt sha256:{sha256_bytes(b'first')} → sha256:{sha256_bytes(b'First')}" in told
    assert "b.txt" not in told
