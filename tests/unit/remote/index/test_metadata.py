import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from envbuild.errors import IntegrityError
from envbuild.formats import wheel_archive
from envbuild.formats.core_metadata import WheelMetadata, license_of, parse_metadata
from envbuild.remote.index import metadata
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.remote.index.metadata import TAIL, MetadataReader, Ranges, RangeStream
from envbuild.remote.index.page import IndexFile
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.web import POLL

WHEEL = "demo-1.0-py3-none-any.whl"
METADATA = WheelMetadata(
    name="demo", version="1.0", requires=("other>=2",), requires_python=">=3.8", license="Apache-2.0"
)


def wheel_in(folder: Path, *, megabytes: int = 0) -> Path:
    # of bytes that do not compress, so that the file really is that large
    ballast = b"".join(sha256(bytes([number % 256, number // 256])).digest() for number in range(32768))
    files = {f"demo/data{number}": ballast for number in range(megabytes)}
    return make_wheel(
        folder, "demo", "1.0", requires=["other>=2"], requires_python=">=3.8", files=files or None
    )


def reader_for(index: PackageIndex, cache: Path) -> tuple[MetadataReader, PythonIndex]:
    client = PythonIndex(ClientConfiguration(default_url=index.index_url), retries=0)
    return MetadataReader(client, cache), client


def test_the_end_of_a_large_wheel_is_enough_and_takes_one_request(
    package_index: PackageIndex, tmp_path: Path
) -> None:
    size = wheel_in(package_index.folder, megabytes=2).stat().st_size
    reader, client = reader_for(package_index, tmp_path)
    file = client.locate("demo", WHEEL)
    assert reader.read("demo", file, "default") == METADATA
    (request,) = (request for request in package_index.requests if request.path.endswith(".whl"))
    assert request.range == f"bytes={size - TAIL}-{size - 1}"


def test_a_second_reading_asks_nobody(package_index: PackageIndex, tmp_path: Path) -> None:
    wheel_in(package_index.folder)
    reader, client = reader_for(package_index, tmp_path)
    file = client.locate("demo", WHEEL)
    reader.read("demo", file, "default")
    asked = len(package_index.requests)
    again, _ = reader_for(package_index, tmp_path)
    assert again.read("demo", file, "default") == METADATA
    assert len(package_index.requests) == asked


def test_metadata_beside_the_wheel_is_preferred(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel_in(folder)
    with PackageIndex(folder, metadata_files=True) as index:
        reader, client = reader_for(index, tmp_path)
        file = client.locate("demo", WHEEL)
        assert file.metadata_sha256 is not None
        assert reader.read("demo", file, "default") == METADATA
        assert index.requested(f"{WHEEL}.metadata") == 1
        assert index.requested(WHEEL) == 0


def test_metadata_that_was_altered_on_the_way_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel_in(folder)
    with PackageIndex(folder, metadata_files=True) as index:
        index.faults.corrupt.add(f"{WHEEL}.metadata")
        reader, client = reader_for(index, tmp_path)
        with pytest.raises(IntegrityError) as caught:
            reader.read("demo", client.locate("demo", WHEEL), "default")
    assert caught.value.message == f"the metadata file of `{WHEEL}` does not have the sha256 its index states"


def test_a_mirror_that_promises_metadata_it_does_not_have_is_forgiven(
    package_index: PackageIndex, tmp_path: Path
) -> None:
    wheel_in(package_index.folder)
    reader, client = reader_for(package_index, tmp_path)
    found = client.locate("demo", WHEEL)
    promised = IndexFile(
        filename=found.filename, url=found.url, sha256=found.sha256, size=found.size, has_metadata=True
    )
    assert reader.read("demo", promised, "default") == METADATA
    assert package_index.requested(f"{WHEEL}.metadata") == 1


def test_without_a_size_the_range_counts_from_the_end(package_index: PackageIndex, tmp_path: Path) -> None:
    wheel_in(package_index.folder, megabytes=1)
    package_index.faults.html_only = True
    reader, client = reader_for(package_index, tmp_path)
    assert reader.read("demo", client.locate("demo", WHEEL), "default") == METADATA
    (request,) = (request for request in package_index.requests if request.path.endswith(".whl"))
    assert request.range == f"bytes=-{TAIL}"


@pytest.fixture
def server_without_ranges(tmp_path: Path) -> Iterator[str]:
    """Serve the test's folder by Python's own simplest server, which knows no ranges."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever, args=(POLL,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_without_ranges_sends_the_whole_wheel(server_without_ranges: str, tmp_path: Path) -> None:
    path = wheel_in(tmp_path, megabytes=1)
    client = PythonIndex(ClientConfiguration(), retries=0)
    client = client.bound_to({"plain": server_without_ranges})
    file = IndexFile(
        filename=WHEEL, url=f"{server_without_ranges}/{WHEEL}", sha256="0" * 64, size=path.stat().st_size
    )
    assert MetadataReader(client, tmp_path / "cache").read("demo", file, "plain") == METADATA


def test_what_is_no_wheel_is_refused(package_index: PackageIndex, tmp_path: Path) -> None:
    (package_index.folder / WHEEL).write_bytes(b"no zip" * 100)
    client = PythonIndex(ClientConfiguration(default_url=package_index.index_url), retries=0)
    file = IndexFile(filename=WHEEL, url=f"{package_index.url}/files/{WHEEL}", sha256="0" * 64, size=600)
    with pytest.raises(IntegrityError) as caught:
        MetadataReader(client, tmp_path).read("demo", file, "default")
    assert caught.value.message == f"`{WHEEL}` is not a valid wheel on its index"


def test_a_wheel_of_another_project_is_refused(package_index: PackageIndex, tmp_path: Path) -> None:
    wheel_in(package_index.folder)
    reader, client = reader_for(package_index, tmp_path)
    with pytest.raises(IntegrityError) as caught:
        reader.read("demonstration", client.locate("demo", WHEEL), "default")
    assert caught.value.message == (
        f"`{WHEEL}` does not hold one METADATA of `demonstration`, as a wheel must"
    )


def test_a_cache_that_cannot_be_written_only_costs_time(package_index: PackageIndex, tmp_path: Path) -> None:
    wheel_in(package_index.folder)
    (tmp_path / "metadata").write_text("in the way")
    reader, client = reader_for(package_index, tmp_path)
    assert reader.read("demo", client.locate("demo", WHEEL), "default") == METADATA


@pytest.mark.parametrize("is_beside", [True, False])
def test_metadata_of_absurd_size_is_refused(
    package_index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_beside: bool
) -> None:
    wheel_in(package_index.folder)
    reader, client = reader_for(package_index, tmp_path / "cache")
    file = client.locate("demo", WHEEL)
    for module in (metadata, wheel_archive):
        monkeypatch.setattr(module, "LARGEST_DIST_INFO", 20)
    with pytest.raises(IntegrityError) as caught:
        reader.read("demo", replace(file, has_metadata=is_beside), "default")
    assert "more than 20 bytes" in f"{caught.value.message} {caught.value.detail}"
    assert list((tmp_path / "cache").glob("*/*")) == []


def test_a_part_of_absurd_size_is_refused(
    package_index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel_in(package_index.folder, megabytes=1)
    reader, client = reader_for(package_index, tmp_path / "cache")
    file = replace(client.locate("demo", WHEEL), has_metadata=False)
    monkeypatch.setattr(metadata, "LARGEST_PART", 100)
    with pytest.raises(IntegrityError, match="has more than 100 bytes"):
        reader.read("demo", file, "default")


def test_kept_metadata_of_absurd_size_is_asked_for_again(
    package_index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel_in(package_index.folder)
    reader, client = reader_for(package_index, tmp_path / "cache")
    file = client.locate("demo", WHEEL)
    reader.read("demo", file, "default")
    (kept,) = (tmp_path / "cache").glob("*/*")
    before = kept.read_bytes()
    monkeypatch.setattr(metadata, "LARGEST_DIST_INFO", 1000)
    kept.write_bytes(b"Requires-Dist: damaged\n" + bytes(1000))
    assert reader.read("demo", file, "default") == METADATA
    assert kept.read_bytes() == before


class FakeRanges:
    """A remote file in memory that remembers what was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def read(self, start: int, end: int) -> bytes:
        self.asked.append((start, end))
        return self.content[start:end]


_: type[Ranges] = FakeRanges


def test_a_range_stream_reads_like_the_file_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 2048
    source = FakeRanges(content)
    start = len(content) - 100
    stream = RangeStream(source, len(content), start, content[start:])
    whole = io.BytesIO(content)
    for offset, whence, count in [
        (-50, 2, 10),
        (0, 0, 7),
        (5, 1, 3),
        (-100, 2, -1),
        (9, 0, -1),
        (1 << 30, 0, 4),
    ]:
        assert stream.seek(offset, whence) == whole.seek(offset, whence)
        assert stream.read(count) == whole.read(count)
        assert stream.tell() == whole.tell()
    assert source.asked[0] == (0, TAIL)
    monkeypatch.setattr(metadata, "LARGEST_PART", 1000)
    with pytest.raises(zipfile.BadZipFile, match="claims to have 1001 bytes"):
        RangeStream(source, len(content), start, content[start:]).read(1001)
    assert len(source.asked) == 2


def test_a_zip_with_a_large_directory_takes_a_few_more_requests(tmp_path: Path) -> None:
    path = tmp_path / "many.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("demo-1.0.dist-info/METADATA", "Name: demo\n")
        for number in range(2000):
            wheel.writestr(f"demo/{number:060}", "")
    content = path.read_bytes()
    source = FakeRanges(content)
    stream = RangeStream(source, len(content), len(content) - TAIL, content[-TAIL:])
    with zipfile.ZipFile(stream) as wheel:
        assert wheel.read("demo-1.0.dist-info/METADATA") == b"Name: demo\n"
    assert len(source.asked) == 2


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            "Name: demo\nLicense-Expression: MIT OR Apache-2.0\nLicense: ignored\n\nText",
            WheelMetadata(name="demo", license="MIT OR Apache-2.0"),
            id="expression wins",
        ),
        pytest.param(
            "Requires-Dist: a;\r\n  python_version<'3'\r\nRequires-Python: >=3.8 \r\n\r\nRequires-Dist: b",
            WheelMetadata(requires=("a; python_version<'3'",), requires_python=">=3.8"),
            id="folded lines, and a description that looks like headers",
        ),
        pytest.param(
            "Name: demo\nClassifier: License :: OSI Approved :: MIT License\nClassifier: Topic :: Internet\n"
            "Classifier: License :: OSI Approved :: Apache Software License\nLicense: UNKNOWN\n",
            WheelMetadata(name="demo", license="Apache Software License, MIT License"),
            id="classifiers",
        ),
        pytest.param(
            "Name: dém\xf6\nLicense: Prívate\n", WheelMetadata(name="dém\xf6", license="Prívate"), id="UTF-8"
        ),
    ],
)
def test_what_is_read_of_metadata(raw: str, expected: WheelMetadata) -> None:
    assert parse_metadata(raw.encode()) == expected


@pytest.mark.parametrize(
    ("text", "classifiers", "expected"),
    [
        pytest.param("BSD 3-Clause", ["License :: OSI Approved"], "BSD 3-Clause", id="one short line"),
        pytest.param(
            "Copyright\nall of it", ["License :: OSI Approved :: BSD License"], "BSD License", id="text"
        ),
        pytest.param("x" * 101, ["License :: Public Domain"], "Public Domain", id="a very long line"),
        pytest.param(" ", ["License :: OSI Approved", "Topic :: X"], None, id="nothing"),
        pytest.param(None, [], None, id="no field at all"),
    ],
)
def test_a_license_is_one_short_line(text: str | None, classifiers: list[str], expected: str | None) -> None:
    assert license_of(expression=None, text=text, classifiers=classifiers) == expected
