"""Rules for single values of the spec, one function each: the value in its one spelling, or a refusal.

Each rule's pattern is public, because the JSON schema shows it to editors.
"""

import re
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import InvalidName, canonicalize_name

from envbuild.catalog.bases import DISTRIBUTIONS, IMAGES
from envbuild.platforms import PLATFORMS
from envbuild.spec.problems import RefusedError, alternatives, near

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"

NAME = rf"^{_COMPONENT}$"
"""One component of an OCI repository name (distribution-spec, "pulling manifests")."""

REPOSITORY = rf"^(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*$"
IMAGE = rf"^(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?$"
PYTHON = r"^3\.(?:10|11|12|13|14)(?:\.(?:0|[1-9][0-9]?))?$"

DEBIAN_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+(?:=(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*)?$"
"""Name, and version if wanted (Debian policy 5.6.1 and 5.6.12)."""

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""Environment variable a shell can name (POSIX, "Environment Variables")."""

USER = r"^(?![0-9]+$)[A-Za-z0-9._][A-Za-z0-9._-]{0,31}$"
"""POSIX "User Name", 32 characters as useradd allows; digits alone would read as a uid."""

ABSOLUTE = r"^/"
INDEX_NAME = r"^(?!(?:default|envbuild)$)[a-z0-9]+(?:-[a-z0-9]+)*$"
"""Narrow, so that each name has an environment variable of its own."""

INDEX_URL = r"^https?://[^@?#\s]+$"
DEFAULT_INDEX = "default"
"""The client's own index: what a package without a source comes from, and what the lock calls it."""

REGISTRY = rf"^{_HOST}(?:/{_COMPONENT})*$"
CUDA = r"^(?:auto|(?:1[1-9]|[2-9][0-9])\.[0-9])$"
GPU_TARGET = r"^[A-Za-z0-9][A-Za-z0-9 ._+-]*$"
GPU_DRIVER = r"^>=[0-9]{3}(?:\.[0-9]{1,3}){0,2}$"
"""As ``nvidia-smi`` shows it: branch, and release when that matters."""

FEATURE = (
    rf"^(?:{_HOST}(?:/{_COMPONENT})+(?::[\w][\w.-]{{0,127}}|@sha256:[0-9a-f]{{64}})?"
    r"|https://[^@?#\s]+\.tgz|\./[^\s\\]+)$"
)
"""A dev container feature: in a registry, an archive by address, or a folder beside the configuration
(containers.dev, "Dev Container Features", referencing a feature)."""

_TAG_OR_DIGEST = re.compile(r"[:@][^/]*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OTHER_PLATFORM_NAMES = {
    name: platform.name
    for platform in PLATFORMS.values()
    for name in (platform.machine, platform.debian, platform.conda, f"linux/{platform.machine}")
}


def name(value: str) -> str:
    """Return a name that can be part of an image's repository."""
    if not re.fullmatch(NAME, value):
        usable = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
        raise RefusedError(
            f"`{value}` cannot name an image",
            hint="lower-case letters and digits, with single `.`, `_` or `-` between them"
            + (f": `{usable}`" if usable else ""),
        )
    return value


def python(value: str) -> str:
    """Return a supported Python version, with or without its patch release."""
    if re.fullmatch(PYTHON, value):
        return value
    supported = tuple(IMAGES)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)*", value):
        raise RefusedError(f"Python {value} is not supported", hint=f"{supported[0]} to {supported[-1]} are")
    raise RefusedError(
        f"`{value}` is not one Python version", hint='write one release, such as "3.11" or "3.11.9"'
    )


def platform(value: Any) -> Any:
    """Return the name of a platform images are built for; what is no text is left to the type's own check."""
    if not isinstance(value, str) or value in PLATFORMS:
        return value
    other = _OTHER_PLATFORM_NAMES.get(value)
    raise RefusedError(
        f"unknown platform `{value}`",
        hint=f"write `{other}`" if other else f"one of {alternatives(tuple(PLATFORMS))}",
    )


def snapshot(value: Any) -> Any:
    """Return a day, given as a TOML date or as text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise RefusedError(f"there is no day {value}") from error
    raise RefusedError("must be a day", hint="write it as 2026-11-01")


def image(value: str) -> str:
    """Return an image reference that names a tag or a digest."""
    if "://" in value:
        raise RefusedError("an image reference has no scheme", hint=f"write `{value.partition('://')[2]}`")
    if not re.fullmatch(IMAGE, value):
        raise RefusedError(f"`{value}` is not an image reference", hint="write it as `registry/name:tag`")
    if "@" not in value and ":" not in value.rpartition("/")[2]:
        raise RefusedError(f"`{value}` names no tag", hint=f"add one: `{value}:…`")
    return value


def distribution(value: str) -> str:
    """Return a distribution a base can be bootstrapped from."""
    if value not in DISTRIBUTIONS:
        raise RefusedError(
            f"unknown distribution `{value}`",
            hint=near(value, DISTRIBUTIONS) or f"one of {alternatives(tuple(DISTRIBUTIONS))}",
        )
    return value


def repository(value: str) -> str:
    """Return where images are pushed, without a tag."""
    if "://" not in value and (tagged := _TAG_OR_DIGEST.search(value)):
        raise RefusedError(
            f"`{value}` names a tag", hint=f"envbuild writes the tag; keep `{value[: tagged.start()]}`"
        )
    if not re.fullmatch(REPOSITORY, value):
        raise RefusedError(
            f"`{value}` is not a repository", hint="write it as `registry.example.com/team/name`"
        )
    return value


def system_package(value: str) -> str:
    """Return a Debian package name, with ``=version`` when one is wanted."""
    if re.fullmatch(DEBIAN_PACKAGE, value):
        return value
    bare = re.split(r"[:/\s<>=(]", value)[0]
    if ":" in value.partition("=")[0]:
        raise RefusedError(
            f"`{value}` names an architecture", hint=f"the platform decides it; write `{bare}`"
        )
    if "/" in value:
        raise RefusedError(f"`{value}` names a suite", hint=f"the base's sources decide it; write `{bare}`")
    usable = bare.lower()
    raise RefusedError(
        f"`{value}` is not a package name of the distribution",
        hint=f"a name, or `name=version`: `{usable}`" if re.fullmatch(DEBIAN_PACKAGE, usable) else None,
    )


def variable(value: str) -> str:
    """Return the name of an environment variable."""
    if not re.fullmatch(VARIABLE, value):
        raise RefusedError(
            f"`{value}` cannot name an environment variable", hint="letters, digits and `_`, no digit first"
        )
    return value


def user(value: str) -> str:
    """Return an account name."""
    if re.fullmatch(r"[0-9]+(:[0-9]+)?", value):
        raise RefusedError(f"`{value}` is a number", hint="write a name; the lock fixes its uid")
    if not re.fullmatch(USER, value):
        raise RefusedError(
            f"`{value}` cannot name a user",
            hint="letters, digits, `.`, `_` and `-`, no `-` first, at most 32 characters",
        )
    return value


def workdir(value: str) -> str:
    """Return an absolute folder inside the image."""
    plain(value)
    if not value.startswith("/"):
        raise RefusedError(f"`{value}` is not absolute", hint=f"write `/{value.removeprefix('./')}`")
    if ".." in PurePosixPath(value).parts:
        raise RefusedError(f"`{value}` contains `..`")
    return "/" + str(PurePosixPath(value)).lstrip("/")


def plain(value: str) -> str:
    """Return text that fits on one line."""
    if _CONTROL.search(value):
        raise RefusedError("contains a line break or another control character")
    return value


def environment_value(value: str) -> str:
    """Return the value of an environment variable, which is taken as it is written."""
    plain(value)
    if reference := re.search(r"\$\{[^}]*\}", value):
        raise RefusedError(
            f"`{reference[0]}` is not expanded: the value is taken as it is written",
            hint='folders before the base\'s own value are a key of their own: prepend = { PATH = ["…"] }',
        )
    return value


def filled(value: str) -> str:
    """Return text on one line that is not empty."""
    if not value.strip():
        raise RefusedError("is empty")
    return plain(value)


def distribution_name(value: str) -> str:
    """Return a Python distribution's name, normalised (PEP 503)."""
    try:
        return canonicalize_name(value, validate=True)
    except InvalidName as error:
        raise RefusedError(f"`{value}` is not a package name") from error


def index_name(value: str) -> str:
    """Return the name of an index of the spec."""
    if value == DEFAULT_INDEX:
        raise RefusedError(
            "`default` is the client's own index", hint="choose another name; the lock calls it that"
        )
    if value == "envbuild":
        raise RefusedError("`envbuild` is envbuild itself", hint="choose another name for the index")
    if not re.fullmatch(INDEX_NAME, value):
        raise RefusedError(
            f"`{value}` cannot name an index",
            hint="lower-case letters and digits, with single `-` between them",
        )
    return value


def index_url(value: str) -> str:
    """Return the simple-API address of an index, without a slash at the end.  Never repeats a credential."""
    return _plain_address(value).rstrip("/")


def page_url(value: str) -> str:
    """Return the address of a page that lists files.  Never repeats a credential.

    A slash at the end stays: what a page names is relative to it.
    """
    if value.startswith((".", "/", "~", "file:")) or "://" not in value:
        raise RefusedError(
            "is a folder, and no other machine has it",
            hint="write the address of a page; files that are locked may also lie in the folder that "
            "ENVBUILD_VENDOR_DIR names",
        )
    return _plain_address(value)


def _plain_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RefusedError("is not an address") from error
    if parts.scheme not in {"http", "https"} or not host or _CONTROL.search(value) or " " in value:
        raise RefusedError(
            "is not an address", hint="write the index's simple address: https://index.example.com/simple"
        )
    if "@" in parts.netloc:
        raise RefusedError(
            "contains credentials",
            hint="write the address without them; each machine has them in ~/.netrc or in "
            "ENVBUILD_INDEX_<NAME>_USERNAME and _PASSWORD",
        )
    if parts.query or parts.fragment:
        raise RefusedError("contains a query or a fragment", hint="write the plain address of the index")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"


def registry(value: str) -> str:
    """Return a registry, with the path below which it mirrors another."""
    if "://" in value:
        raise RefusedError("a registry has no scheme", hint=f"write `{value.partition('://')[2]}`")
    host = value.partition("/")[0]
    if not re.fullmatch(REGISTRY, value) or not (host == "localhost" or "." in host or ":" in host):
        raise RefusedError(
            f"`{value}` is not a registry", hint="write its host, as in `registry.example.com/docker-hub`"
        )
    return value


def cuda(value: str) -> str:
    """Return ``auto``, or a CUDA version as ``major.minor``."""
    if re.fullmatch(CUDA, value):
        return value
    found = re.match(r"(?:cu)?((?:1[1-9]|[2-9][0-9])\.?[0-9])", value)
    wanted = found[1] if found else "12.6"
    wanted = wanted if "." in wanted else f"{wanted[:-1]}.{wanted[-1]}"
    raise RefusedError(f"`{value}` is not a CUDA version", hint=f'write `auto`, or one as "{wanted}"')


def gpu_target(value: str) -> str:
    """Return the name of a GPU, or a compute capability as ``sm_90``."""
    filled(value)
    if re.fullmatch(r"[0-9]{1,2}\.[0-9][af]?", value):
        raise RefusedError(f"`{value}` is a number", hint=f"write `sm_{value.replace('.', '')}`")
    if re.fullmatch(r"compute_[0-9]+[af]?", value):
        raise RefusedError(
            f"`{value}` is a virtual architecture", hint=f"write `sm_{value.partition('_')[2]}`"
        )
    if not re.fullmatch(GPU_TARGET, value):
        raise RefusedError(f"`{value}` names no GPU", hint="write a name as `T4`, or a capability as `sm_75`")
    return value


def gpu_driver(value: str) -> str:
    """Return the oldest driver of a fleet, as ``>=535`` or ``>=535.104.05``."""
    written = re.sub(r"\s+", "", value)
    if re.fullmatch(GPU_DRIVER, written):
        return written
    found = re.search(r"[0-9]{3}(?:\.[0-9]{1,3}){0,2}", value)
    raise RefusedError(
        f"`{value}` is not a lower bound of driver versions", hint=f'write ">={found[0] if found else 535}"'
    )


def feature(value: str) -> str:
    """Return how a dev container refers to a feature."""
    if re.fullmatch(FEATURE, value) and ".." not in value.split("/"):
        return value
    raise RefusedError(
        f"`{value}` is not a dev container feature",
        hint="write `registry.example.com/features/name:1`, an address that ends in `.tgz`, or `./folder`",
    )
