"""What is done with an image that is there: written to files, given to the Docker Engine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envbuild.cache.use_lock import try_own
from envbuild.image.compose import compose_image
from envbuild.image.docker.load import Loaded
from envbuild.image.engine import BuiltImage, ImageOutput
from envbuild.image.local.images import facts_of
from envbuild.workflows import build
from envbuild.workflows.build import BuildOptions, build_image
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock


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
