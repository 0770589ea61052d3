"""A bake file of two specs, built by the real buildx without envbuild."""

import json
import os
import subprocess

import pytest

from tests.integration.running import envbuild

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]


def test_bake_builds_the_images_of_all_specs(python_image, engine_host, tmp_path):
    for name, package in (("bake-a", "six"), ("bake-b", "idna")):
        folder = tmp_path / "envs" / name
        folder.mkdir(parents=True)
        (folder / "envbuild.toml").write_text(
            f'name = "{name}-{os.getpid()}"\npython = "3.11"\n'
            f'[base]\nimage = "{python_image.reference}"\n[pip]\npackages = ["{package}"]\n'
        )
        envbuild("lock", folder=folder)

    exported = json.loads(envbuild("export", "bake", "--all", "--json", folder=tmp_path).stdout)

    text = (tmp_path / "bake" / "docker-bake.json").read_text()
    assert not any(address in text for address in exported["variables"].values())
    references = sorted(exported["targets"].values())
    try:
        # the engine does not hold several images of one build without a builder of its own: --load each
        subprocess.run(
            [*exported["command"], "--load"],
            cwd=tmp_path / exported["folder"],
            env={**os.environ, **exported["variables"]},
            check=True,
            capture_output=True,
        )
        for folder in sorted((tmp_path / "envs").iterdir()):
            report = json.loads(envbuild("verify", "--deep", "--json", folder=folder).stdout)
            assert report["image"] in references
            assert {item["outcome"] for item in report["results"]} <= {"passed", "skipped"}
    finally:
        subprocess.run(["docker", "rmi", "--force", *references], check=True, capture_output=True)
