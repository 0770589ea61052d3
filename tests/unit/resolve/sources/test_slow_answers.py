"""uv waits for builds as long as they take."""

import socket
import struct
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.utils import canonicalize_name

from envbuild.formats.core_metadata import WheelMetadata
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.metadata import MetadataReader
from envbuild.resolve.python.backend import Question
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.sources.index import SourceIndex
from envbuild.resolve.sources.release import SourceRelease
from tests.rig.desk import TARGET, Desk
from tests.rig.index import make_sdist

pytestmark = pytest.mark.slow


def test_an_answer_may_take_longer_than_this_machine_waits_for_indexes(desk: Desk, tmp_path: Path) -> None:
    make_sdist(desk.folder, "app", "1.0")
    index = PythonIndex(desk.configuration, retries=0)
    uv = UvResolver(
        desk.configuration, environment=desk.environment | {"UV_HTTP_TIMEOUT": "1"}, on_loopback=True
    )
    reader = MetadataReader(index, tmp_path / "metadata")

    def build(release: SourceRelease) -> WheelMetadata:
        time.sleep(2.5)
        return WheelMetadata(name=release.name, version=release.version)

    question = Question(requirements=("app",), target=TARGET, default=index.address())
    with SourceIndex(question=question, index=index, wheels=reader, sources=build) as served:
        (pin,) = uv.resolve(served.asked_here())
    assert (canonicalize_name(pin.name), pin.version) == ("app", "1.0")


def test_a_client_that_hangs_up_is_not_told_of(
    desk: Desk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    index = PythonIndex(desk.configuration, retries=0)
    reader = MetadataReader(index, tmp_path / "metadata")

    def never(release: SourceRelease) -> WheelMetadata:
        raise AssertionError(release)

    question = Question(requirements=("app",), target=TARGET, default=index.address())
    with SourceIndex(question=question, index=index, wheels=reader, sources=never) as served:
        default = served.asked_here().default
        assert default is not None
        address = urlsplit(default.url)
        for linger in (0, 1):
            with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
                # a reset, as of a process that ends
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"GET / HTTP/1.1\r\n" * linger)
        time.sleep(0.5)
    assert capfd.readouterr().err == ""
