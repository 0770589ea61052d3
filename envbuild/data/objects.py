"""Data in an S3-compatible store: one object, or all below a prefix.

boto3 is an extra, imported when it is needed.  It takes endpoint, region and credentials from where it always
does: ``AWS_ENDPOINT_URL``, ``AWS_PROFILE``, ``~/.aws``, roles of machines.
"""

import base64
import contextlib
import importlib
import threading
from collections.abc import Iterator
from typing import Any, Final

from envbuild.data.partial import DataPartial
from envbuild.data.sources import LARGEST_FILE, OnPosition, RemoteFile, SourceListing, checked_listing
from envbuild.errors import IntegrityError, NetworkError, NotFoundError, ToolMissingError
from envbuild.parallel import StoppedError

READ_SIZE: Final = 1 << 20
ATTEMPTS: Final = 4
_DIGEST_BYTES: Final = 32
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_DENIED: Final = frozenset({"403", "401", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


def open_client() -> Any:
    """Return a client of S3.

    :raises ToolMissingError: boto3 is not installed.
    """
    try:
        session, config = importlib.import_module("boto3.session"), importlib.import_module("botocore.config")
    except ImportError as error:
        raise ToolMissingError(
            "data in S3 needs boto3, which is not installed",
            hint="run `pip install 'envbuild[s3]'`, or `pip install boto3`",
        ) from error
    with s3_errors("S3"):
        return session.Session().client(
            "s3", config=config.Config(retries={"mode": "standard", "max_attempts": ATTEMPTS})
        )


class ObjectSource:
    """Objects of a bucket."""

    def __init__(self, uri: str, *, name: str, version: str | None = None, client: Any = None) -> None:
        """Take ``s3://bucket/key-or-prefix``; ``name`` is what a single object is called here.

        ``version`` is the version of a single object; None: the current one.

        :raises ToolMissingError: boto3 is not installed.
        """
        self._uri = uri
        self._bucket, _, self._key = uri.removeprefix("s3://").partition("/")
        self._name = name
        self._version = version
        self._client = client or open_client()
        self._stop = threading.Event()

    def list_files(self) -> SourceListing:
        """Return the object, or those below the prefix."""
        with s3_errors(self._uri):
            single = self._head(self._key, self._version) if self._key and self._key[-1] != "/" else None
            if single is not None:
                version = single.get("VersionId")
                file = self._file(self._name, self._key, single, version)
                revision = version if version not in {None, "null"} else None
                return checked_listing(SourceListing(files=(file,), revision=revision), label=self._uri)
            return checked_listing(SourceListing(files=tuple(self._below())), label=self._uri)

    def receive(self, file: RemoteFile, partial: DataPartial, on_position: OnPosition) -> None:
        """Receive an object: the version that was listed, or the one with the tag that was."""
        if file.size is not None and partial.position > file.size:
            partial.restart()
        if file.sha256 is None:
            partial.restart()
        for left in reversed(range(ATTEMPTS)):
            try:
                with s3_errors(self._uri):
                    self._receive(file, partial, on_position)
                break
            except NotFoundError:
                raise
            except NetworkError:
                if not left:
                    raise
        if partial.position != file.size or (file.sha256 is not None and partial.sha256 != file.sha256):
            got = f"{partial.position} bytes, sha256 {partial.sha256}"
            partial.restart()
            raise IntegrityError(
                f"`{file.path}` from {self._uri} is not the locked file: "
                f"{file.size} bytes, sha256 {file.sha256 or 'unknown'} expected, got {got}"
            )

    def cancel(self) -> None:
        """End all downloads after the piece that is under way."""
        self._stop.set()

    def close(self) -> None:
        """Give up connections."""
        self._client.close()

    def _receive(self, file: RemoteFile, partial: DataPartial, on_position: OnPosition) -> None:
        kind, _, said = (file.validator or "").partition(":")
        asked = {"VersionId": said} if kind == "version" else {"IfMatch": said} if kind == "tag" else {}
        if partial.position:
            asked["Range"] = f"bytes={partial.position}-"
        if partial.position == file.size:
            return
        answer = self._client.get_object(Bucket=self._bucket, Key=file.key, **asked)
        with contextlib.closing(answer["Body"]) as body:
            if partial.position and "ContentRange" not in answer:
                partial.restart()
            while piece := body.read(READ_SIZE):
                if self._stop.is_set():
                    raise StoppedError
                if partial.position + len(piece) > (file.size if file.size is not None else LARGEST_FILE):
                    partial.restart()
                    raise IntegrityError(f"`{file.path}` from {self._uri} is larger than it was listed")
                partial.append(piece)
                on_position(partial.position)

    def _head(self, key: str, version: str | None = None) -> Any:
        """Return what there is about an object; None: there is none."""
        asked = {"VersionId": version} if version else {}
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED", **asked)
        except Exception as error:
            if _code(error) in _ABSENT and version is None:
                return None
            raise

    def _below(self) -> Iterator[RemoteFile]:
        prefix = f"{self._key.rstrip('/')}/" if self._key else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for found in page.get("Contents", ()):
                key = found["Key"]
                # a marker of a folder, as consoles make them
                if key.endswith("/"):
                    continue
                head = self._head(key)
                if head is None:
                    raise NetworkError(f"{key} vanished from {self._uri}", hint="try again")
                yield self._file(key.removeprefix(prefix), key, head, head.get("VersionId"))

    def _file(self, path: str, key: str, head: Any, version: str | None) -> RemoteFile:
        tag = head.get("ETag")
        has_version = version not in {None, "null"}
        validator = f"version:{version}" if has_version else f"tag:{tag}" if tag else None
        return RemoteFile(
            path=path, key=key, size=int(head["ContentLength"]), sha256=_sha256(head), validator=validator
        )


def _sha256(head: Any) -> str | None:
    """Return the sha256 of a whole object; None: it has none, or one of its parts' digests."""
    said = head.get("ChecksumSHA256")
    if not isinstance(said, str) or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    # that of parts has their number after it
    try:
        digest = base64.b64decode(said, validate=True)
    except ValueError:
        return None
    return digest.hex() if len(digest) == _DIGEST_BYTES else None


def _code(error: Exception) -> str:
    """Return the code of an answer that refuses; empty: it is another error."""
    answer = getattr(error, "response", None)
    found = answer.get("Error", {}) if isinstance(answer, dict) else {}
    return str(found.get("Code", ""))


@contextlib.contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Turn errors of boto3 into ours.

    :raises NotFoundError: there is no such bucket or object.
    :raises NetworkError: the store cannot be reached, or refuses.
    """
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("botocore.", "boto3.", "urllib3.")):
            raise
        code = _code(error)
        if code in _ABSENT:
            raise NotFoundError(f"{uri} does not exist ({code})") from error
        if code in _DENIED or type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError"}:
            raise NetworkError(
                f"{uri} cannot be read: {code or 'no credentials'}",
                hint="give credentials as for the aws command: AWS_PROFILE, AWS_ACCESS_KEY_ID, ~/.aws",
            ) from error
        raise NetworkError(
            f"cannot read {uri}",
            hint="check AWS_ENDPOINT_URL and the network, then try again",
            detail=f"{type(error).__name__}: {error}"[:300],
        ) from error
