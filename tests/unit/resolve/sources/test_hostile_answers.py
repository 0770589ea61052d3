"""What a build gives back is read on this machine, and the project's code had every chance to write it."""

import io
import json
import tarfile
import zipfile

import pytest

from envbuild.errors import BuildFailedError
from envbuild.resolve.sources import wheel_content
from envbuild.resolve.sources.job import JobRefusedError, read_result
from envbuild.resolve.sources.sandbox import SandboxOutcome
from envbuild.resolve.sources.wheel_content import read_wheel_content

METADATA = b"Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\n"


def answer(*files: tuple[str, bytes], headers: dict[str, str] | None = None) -> SandboxOutcome:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.pax_headers = len(data), headers or {}
            archive.addfile(entry, io.BytesIO(data))
    return SandboxOutcome(exit_status=0, stdout=buffer.getvalue(), stderr=b"said")


def wheel(*extra: tuple[str, bytes], info: str = "alpha-1.0.dist-info") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((f"{info}/METADATA", METADATA), (f"{info}/RECORD", b""), *extra):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


SPARSE = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}


@pytest.mark.parametrize(
    "outcome",
    [
        answer(("result.json", b"{}"), headers=SPARSE),
        answer(("result.json", b"[" * 200_000)),
        answer(("result.json", b"[]")),
        answer(("result.json", b'{"wheel": "missing.whl"}')),
        answer(("result.json", b'{"requires": 1}')),
        answer(("result.json", b"{}"), headers={"size": "-1"}),
        answer(("result.json", b"{}"), headers={"size": "9" * 40}),
        SandboxOutcome(exit_status=0, stdout=b"\0" * 512, stderr=b"said"),
        SandboxOutcome(exit_status=0, stdout=b"not a tar" * 100, stderr=b"said"),
    ],
    ids=["sparse", "deep", "a list", "no wheel", "a number", "negative", "huge", "empty", "no tar"],
)
def test_an_answer_that_is_none_is_refused(outcome: SandboxOutcome) -> None:
    with pytest.raises(JobRefusedError) as caught:
        read_result(outcome)
    assert (caught.value.message, caught.value.detail) == ("exit status 0", "said")


def test_an_answer_is_read() -> None:
    result = json.dumps({"wheel": "a.whl"}).encode()
    found = read_result(answer(("result.json", result), ("a.whl", b"data")))
    assert (found.wheel, found.content) == ("a.whl", b"data")


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("alpha-1.0-py3-none-any.whl", wheel(("../../etc/cron.d/x", b"")), "'../../etc/cron.d/x' is no path"),
        ("alpha-1.0-py3-none-any.whl", wheel(("/etc/x", b"")), "'/etc/x' is no path"),
        ("alpha-1.0-py3-none-any.whl", wheel(("a/../b", b"")), "'a/../b' is no path"),
        ("alpha-1.0-py3-none-any.whl", wheel(("a\nb", b"")), "'a\\nb' is no path"),
        ("alpha-1.0-py3-none-any.whl", wheel(("a\\b", b"")), "'a\\\\b' is no path"),
        ("alpha-1.0-py3.x/../../y-none-any.whl", wheel(), "alpha-1.0-py3.x"),
        ("alpha-1.0-py3 -none-any.whl", wheel(), "alpha-1.0-py3 "),
        ("alpha-1.0-py3-none-any.whl", wheel()[:-30], "not a zip file"),
        ("alpha-1.0-py3-none-any.whl", wheel(("zeros", bytes(1 << 20))), "more than 65536 bytes"),
        ("alpha-1.0-py3-none-any.whl", wheel(*((f"f{n}", b"") for n in range(64))), "more than 64 files"),
    ],
    ids=[
        "out", "absolute", "detour", "newline", "backslash", "name with path", "name with space", "cut",
        "bomb", "many",
    ],
)  # fmt: skip
def test_a_wheel_that_nobody_can_mean_is_refused(
    file: str, data: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_content, "LARGEST_UNPACKED", 1 << 16)
    monkeypatch.setattr(wheel_content, "MOST_FILES", 64)
    with pytest.raises(BuildFailedError) as caught:
        read_wheel_content(file, data, package="alpha 1.0")
    assert caught.value.message == "the build of `alpha 1.0` gave no wheel"
    assert told in str(caught.value.detail)


def test_a_file_that_stands_twice_in_a_wheel_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = wheel(("alpha.py", b"1"), ("alpha.py", b"2"))
    with pytest.raises(BuildFailedError) as caught:
        read_wheel_content("alpha-1.0-py3-none-any.whl", data, package="alpha 1.0")
    assert caught.value.detail == "alpha.py stands twice in it"
