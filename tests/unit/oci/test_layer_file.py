"""One file of an image, read from its layers: the topmost layer that says something of its path decides."""

import io
import tarfile
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from envbuild.errors import EngineError
from envbuild.oci.layer_file import read_layer_file

PATH = "/etc/envbuild/lock.json"
FILE = "etc/envbuild/lock.json"

Layer = Callable[[], Iterator[bytes]]


def layer(*entries: tuple[str, bytes | None]) -> Layer:
    """Return a layer of files, and of folders where the content is None."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return partial(iter, [buffer.getvalue()])


BOTTOM = layer(("etc/envbuild", None), (FILE, b"old"))


@pytest.mark.parametrize(
    ("top", "content"),
    [
        pytest.param(layer((FILE, b"new")), b"new", id="another file"),
        pytest.param(layer(("etc/other", b"")), b"old", id="nothing of the path"),
        pytest.param(layer(("etc/envbuild", None)), b"old", id="its folder again"),
        pytest.param(layer((FILE, None)), None, id="a folder in its place"),
        pytest.param(layer(("etc/envbuild/.wh.lock.json", b"")), None, id="removed"),
        pytest.param(layer(("etc/.wh.envbuild", b"")), None, id="its folder removed"),
        pytest.param(layer(("etc/envbuild/.wh..wh..opq", b"")), None, id="its folder made anew"),
        pytest.param(layer(("etc/envbuild", b"a file")), None, id="a file in place of its folder"),
    ],
)
def test_the_topmost_layer_decides(top: Layer, content: bytes | None) -> None:
    assert read_layer_file([BOTTOM, top], PATH, limit=100) == content


def test_a_file_over_the_limit_is_refused() -> None:
    with pytest.raises(EngineError, match="has more than 2 bytes"):
        read_layer_file([BOTTOM], PATH, limit=2)
