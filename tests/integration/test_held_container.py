"""Containers of a real engine that stay for several commands."""

import io
import os
import tarfile
from collections.abc import Iterator

import pytest

from envbuild.errors import EngineError
from envbuild.image.docker.held import DockerHolder
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.small_root import make_small_root
from tests.rig.small_root_image import give_docker

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("engine_host")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, engine_host: str) -> str:
    root = tmp_path_factory.mktemp("held") / "root"
    root.mkdir()
    make_small_root(root)
    reference = f"held-{os.getpid()}:small"
    give_docker(root, reference)
    return reference


@pytest.fixture
def holder(engine_host: str) -> Iterator[DockerHolder]:
    opened = DockerHolder(os.environ)
    yield opened
    opened.close()


def tar(path: str, content: bytes) -> Iterator[bytes]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    yield packed.getvalue()


def running(image: str) -> list[str]:
    listed = docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}")
    return listed.stdout.decode().split()


def test_several_commands_in_one_container(holder: DockerHolder, image: str) -> None:
    holder.provide_base(image)
    with holder.hold(image, ("sleep", "600")) as container:
        container.put(tar("a/b", b"content"))
        read = container.execute(("cat", "/a/b"), environment={}, timeout=60)
        failed = container.execute(
            ("sh", "-c", "echo $X; echo bad >&2; exit 3"), environment={"X": "y"}, timeout=60
        )
        links = container.execute(("cat", "/proc/net/dev"), environment={}, timeout=60)
        assert len(running(image)) == 1

    assert (read.stdout, read.exit_status) == ("content", 0)
    assert (failed.stdout, failed.stderr, failed.exit_status) == ("y\n", "bad\n", 3)
    # a header of two lines, and the loopback interface
    assert [line.split(":")[0].strip() for line in links.stdout.splitlines()[2:]] == ["lo"]
    assert running(image) == []


def test_a_command_that_does_not_end(holder: DockerHolder, image: str) -> None:
    with (
        pytest.raises(EngineError, match="`sleep` did not finish within 1 seconds"),
        holder.hold(image, ("sleep", "600")) as container,
    ):
        container.execute(("sleep", "500"), environment={}, timeout=1)
    assert running(image) == []


def test_a_command_that_is_not_there(holder: DockerHolder, image: str) -> None:
    with holder.hold(image, ("sleep", "600")) as container:
        done = container.execute(("/none",), environment={}, timeout=60)

    assert done.exit_status != 0


def test_an_image_that_is_not_there(holder: DockerHolder, image: str) -> None:
    with pytest.raises(EngineError), holder.hold(f"{image}-none", ("sleep", "600")):
        pass


def test_an_image_of_a_root_file_system(holder: DockerHolder) -> None:
    name, made = f"held-{os.getpid()}:import", 0

    def make() -> Iterator[bytes]:
        nonlocal made
        made += 1
        yield from tar("file", b"x")

    forget_at_the_end(name)
    for _ in range(2):
        holder.provide_import(name, make)

    assert made == 1
    found = holder.find(name)
    assert found is not None
    assert found.labels == {"dev.envbuild.purpose": "apt"}
    assert found.architecture == holder.platform().architecture
