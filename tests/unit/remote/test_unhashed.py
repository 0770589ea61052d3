import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.data.partial import DataPartial, PartialFolder
from envbuild.errors import IntegrityError, NetworkError, NotFoundError
from envbuild.remote.address import Address
from envbuild.remote.unhashed import ATTEMPTS, download_unhashed
from tests.rig.web import Answer, Faults, LoopbackServer, Request

CONTENT = bytes(range(256)) * 4096


def answer(request: Request) -> Answer | None:
    return Answer(content=CONTENT) if request.path == "/file" else None


@pytest.fixture
def partial(tmp_path: Path) -> Iterator[DataPartial]:
    """Return a file that grows, with bytes of an earlier attempt in it."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "file").write_bytes(b"earlier")
    with PartialFolder(tmp_path / "p").receiving("file") as partial:
        yield partial


def test_what_is_there_is_received(partial: DataPartial) -> None:
    with LoopbackServer(answer) as server:
        download_unhashed(Address(url=f"http://{server.host}/file"), partial, largest=1 << 30)

    assert partial.content() == CONTENT


def test_what_breaks_off_is_asked_for_again(partial: DataPartial) -> None:
    with LoopbackServer(answer, faults=Faults(drop={"file": ATTEMPTS - 1})) as server:
        download_unhashed(Address(url=f"http://{server.host}/file"), partial, largest=1 << 30)
        assert len(server.requests) == ATTEMPTS

    assert partial.content() == CONTENT


def test_what_always_breaks_off_is_an_error(partial: DataPartial) -> None:
    with (
        LoopbackServer(answer, faults=Faults(drop={"file": ATTEMPTS})) as server,
        pytest.raises(NetworkError),
    ):
        download_unhashed(Address(url=f"http://{server.host}/file"), partial, largest=1 << 30)


@pytest.mark.parametrize(
    ("size", "largest"), [(len(CONTENT) - 1, 1 << 30), (len(CONTENT) + 1, 1 << 30), (None, 1000)]
)
def test_another_size_than_promised_is_refused(partial: DataPartial, size: int | None, largest: int) -> None:
    with LoopbackServer(answer) as server, pytest.raises(IntegrityError, match="has another size"):
        download_unhashed(Address(url=f"http://{server.host}/file"), partial, size=size, largest=largest)


def test_what_is_not_there_is_asked_for_once(partial: DataPartial) -> None:
    with LoopbackServer(answer) as server:
        with pytest.raises(NotFoundError):
            download_unhashed(Address(url=f"http://{server.host}/none"), partial, largest=1 << 30)
        assert len(server.requests) == 1


def test_a_disk_that_is_full_is_no_fault_of_the_network(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_RDWR)

    class Full(DataPartial):
        def restart(self) -> None:
            pass

        def append(self, data: bytes) -> None:
            os.write(full, data)

    (tmp_path / "file").write_bytes(b"")
    partial = Full(tmp_path / "file", os.open(tmp_path / "file", os.O_RDWR))
    try:
        with LoopbackServer(answer) as server, pytest.raises(OSError, match="No space left"):
            download_unhashed(Address(url=f"http://{server.host}/file"), partial, largest=1 << 30)
    finally:
        partial.close()
        os.close(full)
