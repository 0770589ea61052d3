"""What no server here does: versions, checksums, broken answers.  The client is a double of boto3's."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from envbuild.data.objects import ATTEMPTS, ObjectSource
from envbuild.data.partial import PartialFolder
from envbuild.data.sources import RemoteFile
from envbuild.errors import IntegrityError, NetworkError
from envbuild.parallel import StoppedError

CONTENT = b"weights" * 1000


class ClientError(Exception):
    """As botocore has it."""

    __module__ = "botocore.exceptions"

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class PlayedClient:
    """One object, `key` of bucket `b`, in the versions given."""

    def __init__(self, versions: dict[str, bytes], *, breaks: int = 0, **head: Any) -> None:
        self.versions = versions
        self.breaks = breaks
        self.head = head
        self.asked: list[dict[str, Any]] = []

    def head_object(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        version = asked.get("VersionId", max(self.versions))
        if asked["Key"] != "key" or version not in self.versions:
            raise ClientError("404")
        return {
            "ContentLength": len(self.versions[version]),
            "VersionId": version,
            "ETag": '"tag"',
        } | self.head

    def get_object(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        content = self.versions[asked.get("VersionId", max(self.versions))]
        start = int(asked["Range"][6:-1]) if "Range" in asked else 0
        rest = content[start:]
        if self.breaks:
            self.breaks -= 1
            return {"Body": _Breaking(rest[: len(rest) // 2]), "ContentRange": "x"}
        return {"Body": io.BytesIO(rest)} | ({"ContentRange": "x"} if start else {})

    def close(self) -> None:
        pass


class _Breaking(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            raise ClientError("IncompleteRead")
        return found


def source_of(client: PlayedClient, **options: Any) -> ObjectSource:
    return ObjectSource("s3://b/key", name="w.bin", client=client, **options)


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def received(source: ObjectSource, file: RemoteFile, folder: Path, *, before: bytes = b"") -> bytes:
    with PartialFolder(folder).receiving("x") as partial:
        partial.append(before)
        source.receive(file, partial, lambda _: None)
        return partial.content()


def test_the_version_of_an_object_is_locked_and_asked_for(tmp_path: Path) -> None:
    client = PlayedClient({"v1": CONTENT})
    listing = source_of(client).list_files()
    client.versions["v2"] = b"newer"

    assert listing.revision == "v1"
    assert received(source_of(client), listing.files[0], tmp_path / "a") == CONTENT
    assert source_of(client, version="v1").list_files().files[0].size == len(CONTENT)
    with pytest.raises(NetworkError):
        source_of(client, version="v9").list_files()


def test_a_bucket_without_versions_has_none() -> None:
    listing = source_of(PlayedClient({"null": CONTENT})).list_files()

    assert listing.revision is None
    assert listing.files[0].validator == 'tag:"tag"'


@pytest.mark.parametrize(
    ("head", "known"),
    [
        ({"ChecksumSHA256": checksum(CONTENT), "ChecksumType": "FULL_OBJECT"}, True),
        ({"ChecksumSHA256": checksum(CONTENT)}, True),
        ({"ChecksumSHA256": checksum(CONTENT), "ChecksumType": "COMPOSITE"}, False),
        ({"ChecksumSHA256": f"{checksum(CONTENT)}-3"}, False),
        ({"ChecksumSHA256": "AAAA"}, False),
        ({"ChecksumSHA256": 7}, False),
        ({}, False),
    ],
)
def test_a_checksum_of_the_whole_object_is_taken(head: dict[str, Any], known: bool) -> None:
    (file,) = source_of(PlayedClient({"v1": CONTENT}, **head)).list_files().files

    assert file.sha256 == (hashlib.sha256(CONTENT).hexdigest() if known else None)


def known_file(**changes: Any) -> RemoteFile:
    said = {
        "path": "w.bin",
        "key": "key",
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    return RemoteFile(**{**said, **changes})


def test_what_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    client = PlayedClient({"v1": CONTENT}, breaks=2)

    assert received(source_of(client), known_file(), tmp_path / "a", before=CONTENT[:10]) == CONTENT
    assert [asked.get("Range") for asked in client.asked] == ["bytes=10-", "bytes=3505-", "bytes=5252-"]


def test_what_always_breaks_off_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NetworkError):
        received(source_of(PlayedClient({"v1": CONTENT}, breaks=ATTEMPTS)), known_file(), tmp_path / "a")


@pytest.mark.parametrize("served", [CONTENT[:-1], CONTENT + b"x", CONTENT[::-1]])
def test_an_object_that_is_not_what_was_listed_is_refused(tmp_path: Path, served: bytes) -> None:
    with pytest.raises(IntegrityError):
        received(source_of(PlayedClient({"v1": served})), known_file(), tmp_path / "a")
    assert (tmp_path / "a" / "x").stat().st_size == 0


def test_a_called_off_download_ends(tmp_path: Path) -> None:
    source = source_of(PlayedClient({"v1": CONTENT}))
    source.cancel()

    with pytest.raises(StoppedError):
        received(source, known_file(), tmp_path / "a")
