"""Rules for single values of ``[[data]]``, one function each: the value in its one spelling, or a refusal."""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlsplit

from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

NAME = r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$"
MOST_NAME = 64
"""Characters of a name: it is that of a file, and of a folder in containers."""

SHA256 = r"^[0-9a-f]{64}$"
TARGET = r"^/[^/]"
DVC = r"^(?!/)(?:[^:]*\.dvc|(?:[^:]*/)?dvc\.lock:.+)$"
"""A pointer file, or an output of a stage in a ``dvc.lock``."""

URL = r"^https?://[^@#\s]+$"
REPOSITORY = r"^(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A repository of the Hugging Face Hub: ``owner/name``."""

REVISION = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"
S3 = r"^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](?:/[^?#\s]*)?$"
"""A bucket, and the key of an object or the prefix of several."""

_OWN = ("envbuild.data", "envbuild.lock", "envbuild.toml")
_SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
)
_SECRET = re.compile(
    r"token|secret|signature|password|credential|^sig$|^key$|api-?key|^x-(amz|goog)-", re.IGNORECASE
)


def name(value: str) -> str:
    """Return the name of a data entry."""
    if re.fullmatch(NAME, value) and len(value) <= MOST_NAME:
        return value
    usable = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:MOST_NAME]
    raise RefusedError(
        f"`{value}` cannot name data",
        hint=f"lower-case letters and digits, with single `.`, `_` or `-` between them, at most {MOST_NAME}"
        + (f": `{usable}`" if usable else ""),
    )


def path(value: str) -> str:
    """Return where data is on a machine: below the folder of the spec, or absolute."""
    rules.filled(value)
    if "\\" in value:
        raise RefusedError(f"`{value}` has a `\\`", hint="write `/` between folders")
    if ".." in PurePosixPath(value).parts:
        raise RefusedError(
            f"`{value}` leads out of the spec's folder",
            hint="write an absolute path, or make a link in the spec's folder and name that",
        )
    if value.startswith("~"):
        raise RefusedError(f"`{value}` is not expanded", hint="write an absolute path")
    found = str(PurePosixPath(value))
    if found == ".":
        raise RefusedError("is the spec's folder itself", hint="name a file or a folder in it")
    parts = PurePosixPath(found).parts
    if ".git" in map(str.casefold, parts):
        raise RefusedError(f"`{found}` belongs to git", hint="name a folder of data")
    if parts[0] in _OWN:
        raise RefusedError(f"`{found}` belongs to envbuild", hint="name a folder of data")
    return found


def target(value: str) -> str:
    """Return where data is in containers: an absolute path that no part of the system lies at."""
    found = rules.workdir(value)
    if found == "/":
        raise RefusedError("`/` is the whole image", hint="write a folder of its own, such as `/data/images`")
    if any(found == folder or found.startswith(f"{folder}/") for folder in _SYSTEM):
        raise RefusedError(
            f"`{found}` belongs to the system", hint="write a folder of its own, such as `/data/images`"
        )
    return found


def sha256(value: str) -> str:
    """Return a SHA-256 digest in hexadecimal digits."""
    found = value.lower().removeprefix("sha256:")
    if not re.fullmatch(SHA256, found):
        raise RefusedError(f"`{value}` is not a sha256", hint="write its 64 hexadecimal digits")
    return found


def dvc(value: str) -> str:
    """Return a pointer of DVC: a ``.dvc`` file, or ``dvc.lock:OUTPUT``."""
    rules.filled(value)
    if ".." in PurePosixPath(value.partition(":")[0]).parts or not re.fullmatch(DVC, value):
        raise RefusedError(
            f"`{value}` is no pointer of DVC in the spec's folder",
            hint="write `data/images.dvc`, or `dvc.lock:data/images` for the output of a stage",
        )
    return value


def url(value: str) -> str:
    """Return the address of a file.  Never repeats a credential."""
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise RefusedError("is not an address", hint="write `https://…`")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise RefusedError("is not an address", hint="write `https://…`") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise RefusedError("is not an address of a file", hint="write `https://…`")
    secret = any(_SECRET.search(key) for key, _ in parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc or secret:
        raise RefusedError(
            "contains credentials", hint="write the address without them; each machine has them in ~/.netrc"
        )
    if parts.fragment:
        raise RefusedError("contains a fragment", hint="leave out what follows `#`")
    if not PurePosixPath(parts.path).name:
        raise RefusedError("names no file", hint="write the address of one file")
    return value


def repository(value: str) -> str:
    """Return a repository of the Hugging Face Hub."""
    if "://" in value:
        raise RefusedError("is an address", hint="write the repository alone: `owner/name`")
    if not re.fullmatch(REPOSITORY, value) or ".." in value:
        raise RefusedError(f"`{value}` is no repository", hint="write it as `owner/name`")
    return value


def revision(value: str) -> str:
    """Return a branch, a tag or a commit."""
    if not re.fullmatch(REVISION, value) or ".." in value:
        raise RefusedError(f"`{value}` is no revision", hint="write a branch, a tag or a commit")
    return value


def pattern(value: str) -> str:
    """Return a pattern of file names below a repository."""
    rules.filled(value)
    if value.startswith("/") or ".." in value.split("/"):
        raise RefusedError(f"`{value}` leads out of the repository", hint="write it as `*.json` or `train/*`")
    return value


def s3(value: str) -> str:
    """Return an object, or the prefix of several, in a bucket."""
    if not re.fullmatch(S3, value):
        raise RefusedError(f"`{value}` is no address of S3", hint="write `s3://bucket/prefix`")
    return value
