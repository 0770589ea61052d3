import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.data.manifest import (
    LARGEST_MANIFEST,
    DataManifest,
    ManifestFaultError,
    manifest_of,
    parse_manifest,
)
from envbuild.digest import sha256_bytes, sha256_file

A, B = "a" * 64, "b" * 64

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


def test_the_text_is_sorted_by_bytes_and_its_digest_is_of_the_text() -> None:
    manifest = manifest_of({"b": A, "a/z": B, "a-b": A, "é": B, "Z": A})

    assert manifest.data.decode() == f"{A}  Z\n{A}  a-b\n{B}  a/z\n{A}  b\n{B}  é\n"
    assert manifest.digest == f"sha256:{sha256_bytes(manifest.data)}"


@given(st.dictionaries(NAMES, DIGESTS, max_size=20))
def test_what_is_written_is_read(files: dict[str, str]) -> None:
    manifest = manifest_of(files)

    read = parse_manifest(manifest.data)

    assert read.files == files
    assert read.data == manifest.data


@given(st.binary(max_size=200))
def test_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    try:
        manifest = parse_manifest(data)
    except ManifestFaultError:
        return
    assert manifest.data == data


@given(st.sets(NAMES, min_size=1, max_size=6), st.integers(0, 5), st.binary(min_size=1, max_size=1))
def test_no_changed_byte_is_the_same_manifest(names: set[str], place: int, byte: bytes) -> None:
    data = manifest_of(dict.fromkeys(names, A)).data
    changed = data[:place] + byte + data[place + 1 :]

    try:
        read = parse_manifest(changed)
    except ManifestFaultError:
        return
    assert (read.digest == manifest_of(dict.fromkeys(names, A)).digest) == (changed == data)


def test_sha256sum_checks_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    names = [
        "plain",
        "two  spaces",
        " lead",
        "*star",
        "new\nline",
        "back\\slash",
        "ret\rurn",
        "\\first",
        "deep/er/é",
    ]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes([number]) * number)
    manifest = manifest_of({name: sha256_file(folder / name) for name in names})
    (tmp_path / "list").write_bytes(manifest.data)
    check = ["sha256sum", "--check", "--strict", str(tmp_path / "list")]

    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 0
    (folder / "plain").write_bytes(b"other")
    assert b"plain: FAILED" in subprocess.run(check, cwd=folder, capture_output=True, check=False).stdout


def test_it_is_what_sha256sum_writes(tmp_path: Path) -> None:
    names = sorted(["a", "b\nc", "d\\e", "f\rg"])
    for name in names:
        (tmp_path / name).write_text(name)
    written = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True).stdout

    assert manifest_of({name: sha256_file(tmp_path / name) for name in names}).data == written


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{A}  a", "does not end"),
        (f"{A} a\n", "two spaces"),
        (f"{A} *a\n", "two spaces"),
        (f"{A.upper()}  a\n", "two spaces"),
        (f"{A[1:]}  a\n", "two spaces"),
        (f"{A}  \n", "two spaces"),
        (f"{A}  b\n{A}  a\n", "out of order"),
        (f"{A}  a\n{B}  a\n", "twice"),
        (f"{A}  /etc/passwd\n", "not a relative path"),
        (f"{A}  ../a\n", "`..`"),
        (f"{A}  a/../b\n", "`..`"),
        (f"{A}  a//b\n", "empty part"),
        (f"{A}  a/\n", "empty part"),
        (f"{A}  ./a\n", "empty part"),
        (f"{A}  a\0b\n", "NUL"),
        (f"{A}  {'a' * 256}\n", "longer than 255"),
        (f"{A}  {'a/' * 2100}b\n", "longer than 4096"),
        (f"{A}  a\n{A}  a-b\n{A}  a/b\n", "file and a folder"),
        (f"{A}  a\\b\n", "not escaped"),
        (f"\\{A}  ab\n", "not escaped"),
        (f"\\{A}  a\\x\n", "unknown escape"),
        (f"\\{A}  a\\\n", "unknown escape"),
        (f"{A}  a\r\n", "not escaped"),
        ("\n", "two spaces"),
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ManifestFaultError, match=r"the manifest|file and a folder") as caught:
        parse_manifest(text.encode())

    assert reason in caught.value.message


def test_what_is_not_text_or_too_large_is_refused() -> None:
    with pytest.raises(ManifestFaultError, match="not UTF-8"):
        parse_manifest(f"{A}  ".encode() + b"\xff\n")
    with pytest.raises(ManifestFaultError, match="more than"):
        parse_manifest(bytes(LARGEST_MANIFEST + 1))


@pytest.mark.parametrize("path", ["../a", "/a", "a\0", "", "a/", "\udcff", "x" * 300])
def test_an_unsafe_path_is_not_recorded(path: str) -> None:
    with pytest.raises(ManifestFaultError, match="cannot be recorded"):
        manifest_of({path: A})


def test_a_file_that_is_also_a_folder_is_not_recorded() -> None:
    with pytest.raises(ManifestFaultError, match="file and a folder"):
        manifest_of({"a": A, "a/b": A})


def test_an_entry_may_be_empty() -> None:
    assert parse_manifest(b"") == DataManifest({})
    assert len(DataManifest({})) == 0
