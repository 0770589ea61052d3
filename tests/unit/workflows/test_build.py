"""What is done with an image that is there: written to files, given to the Docker Engine."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envbuild.cache.use_lock import try_own
from envbuild.errors import UsageError
from envbuild.image.compose import compose_image
from envbuild.image.docker.load import Loaded
from envbuild.image.engine import BuiltImage, ImageOutput
from envbuild.image.local.images import facts_of
from envbuild.lock.codec import dumps
from envbuild.workflows import build
from envbuild.workflows.build import BuildOptions, build_image
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock
from tests.rig.progress import RecordedProgress


@pytest.fixture
def blobs(tmp_path: Path) -> LayerFolder:
    (tmp_path / "blobs").mkdir()
    return LayerFolder(tmp_path / "blobs")


@pytest.fixture
def image(blobs: LayerFolder, monkeypatch: pytest.MonkeyPatch) -> BuiltImage:
    """Return the image that a local engine holds, which is the engine of every project."""
    lock = sample_lock()
    content = compose_image(lock, lock.targets[0], [blobs.make({"opt/a": b"a"})])
    held = BuiltImage(reference="train:1", facts=facts_of(content), built=False, content=content)
    engine = SimpleNamespace(
        name="local",
        features={"export", "load"},
        find_target=lambda _request: held,
        blobs=lambda _image: blobs,
        close=lambda: None,
    )
    monkeypatch.setattr(build, "engine_of", lambda *_arguments: engine)
    return held


def test_an_image_is_written_wherever_it_is_asked_for(
    project: Project, machine: Machine, image: BuiltImage, tmp_path: Path
) -> None:
    outputs = (
        ImageOutput(kind="oci", path=tmp_path / "layout"),
        ImageOutput(kind="archive", path=tmp_path / "archive"),
    )
    result = build_image(project, BuildOptions(outputs=outputs), machine=machine)
    assert (result.image, result.outputs, result.loaded) == (image, outputs, None)
    assert image.content is not None
    digest = image.content.descriptor.digest.replace(":", "/")
    assert (tmp_path / "layout" / "blobs" / digest).read_bytes() == image.content.manifest
    assert image.content.manifest in (tmp_path / "archive").read_bytes()


def test_nothing_is_pruned_while_an_image_is_loaded(
    project: Project,
    machine: Machine,
    image: BuiltImage,
    blobs: LayerFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []

    def load(_engine: Any, content: Any, reference: str, **options: Any) -> Loaded:
        with try_own(machine.cache) as is_free:
            given.append((content, reference, options["blobs"], is_free))
        return Loaded(way="archive", size=1)

    monkeypatch.setattr("envbuild.image.docker.load.load_image", load)
    result = build_image(project, BuildOptions(load=True), machine=machine)
    assert result.loaded == Loaded(way="archive", size=1)
    assert given == [(image.content, "train:1", blobs, False)]


@pytest.fixture
def docker_lacks_it(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a docker engine without any image was asked for, which is the engine of every project."""
    asked: list[str] = []

    def build_it(_request: Any) -> SimpleNamespace:
        asked.append("build")
        return SimpleNamespace(reference="train:1", built=True)

    engine = SimpleNamespace(
        name="docker",
        features=set(),
        find=lambda _reference: None,
        find_target=lambda _request: None,
        require_privileges=lambda _restart: None,
        pull=lambda image: asked.append(f"pull {image.reference}"),
        push=lambda _image: asked.append("push"),
        build=build_it,
        close=lambda: None,
    )
    monkeypatch.setattr(build, "engine_of", lambda *_arguments: engine)
    return asked


def pushed_lock(project: Project) -> None:
    """Give the lock a repository."""
    request = sample_lock().request.model_copy(update={"repository": "registry.example.com/team/train"})
    project.lock.write_text(dumps(sample_lock().model_copy(update={"request": request})))


@pytest.mark.parametrize("option", ["push", "pull", "verify"])
def test_offline_no_registry_is_asked(
    project: Project, machine: Machine, docker_lacks_it: list[str], option: str
) -> None:
    pushed_lock(project)
    options = BuildOptions(frozen=True, **{option: True})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"^--{option} asks a registry, and --offline asks nobody$"):
        build_image(project, options, machine=replace(machine, offline=True))
    assert docker_lacks_it == []


def test_what_is_built_in_any_case_is_not_pulled(
    project: Project, machine: Machine, docker_lacks_it: list[str]
) -> None:
    pushed_lock(project)
    options = BuildOptions(frozen=True, pull=True, use_cache=False)
    with pytest.raises(UsageError, match=r"^--pull takes an image that is there, and --no-cache"):
        build_image(project, options, machine=machine)
    assert docker_lacks_it == []


def test_without_a_repository_it_is_said_that_nothing_is_pulled(
    project: Project, machine: Machine, docker_lacks_it: list[str]
) -> None:
    heard = RecordedProgress()
    build_image(project, BuildOptions(frozen=True, pull=True), machine=replace(machine, progress=heard))
    assert docker_lacks_it == ["build"]
    assert heard.notes == ["there is nothing to pull: the spec names no `repository` under [image]"]
