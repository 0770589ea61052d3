"""What makes two images the same: the target's own part of the lock, and the digest that names it.

The projection is what the image carries in ``/etc/envbuild/lock.json`` and what verification compares with,
so the tag covers exactly that: nothing in it can change without the tag.  Addresses and hash sources are
left out (they say where bytes came from, not what they are), and so are other targets and the request.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Interpreter, Lock, Target, Wheel
from envbuild.lock.tracker_variables import TAG_DIGITS, tracker_variables

FORMAT_CHANGES: Final[Mapping[int, str]] = {
    1: "the first",
    2: "code of the probe and of the install scripts moved; they work as before",
    3: "the probe looks at no files any more: those are read from outside",
    4: "images say to MLflow and Weights & Biases what they are",
}
"""Why each format of the recipe came.  A number is added, at most once a release, when the same lock renders
to another image; golden tests of the recipe hold it."""

RECIPE_FORMAT: Final = max(FORMAT_CHANGES)
"""The format that this release renders."""

EARLIER_FORMATS: Final = tuple(sorted(FORMAT_CHANGES.keys() - {RECIPE_FORMAT}, reverse=True))
"""Formats of images that earlier releases built, newest first; the same lock has another tag in each."""

_NOT_CONTENT_OF_WHEEL = frozenset({"hash_source", "index", "path", "uploaded", "url"})
_NOT_CONTENT_OF_CONDA = frozenset({"hash_source", "md5", "env_unread"})
_NOT_CONTENT_OF_DEB = frozenset({"path", "archive"})


def epoch_of(lock: Lock, target: Target) -> int:
    """Return SOURCE_DATE_EPOCH for ``target``: seconds since 1970 of the newest thing locked in it.

    Computed rather than stored, so that two branches which each add a package do not conflict in it.
    """
    moments = [lock.base(target).created]
    moments += [wheel.uploaded for wheel in lock.wheels_of(target) if wheel.uploaded]
    moments += [package.timestamp for package in lock.conda_of(target) if package.timestamp]
    return int(max(_utc(moment) for moment in moments).timestamp())


def base_epoch_of(lock: Lock, target: Target) -> int:
    """Return SOURCE_DATE_EPOCH of what is done to the base: when that was made, in seconds since 1970.

    Not the target's: a base with its packages is the same, and made once, whatever is laid on it.
    """
    return int(_utc(lock.base(target).created).timestamp())


def conda_epoch_of(lock: Lock, target: Target) -> int:
    """Return when the newest conda package of ``target`` was built, in seconds since 1970; 0 if none says so.

    Not the target's: conda packages are laid down the same, and once, whatever wheels go on top of them.
    """
    moments = [_utc(package.timestamp) for package in lock.conda_of(target) if package.timestamp]
    return int(max(moments).timestamp()) if moments else 0


def project_target(lock: Lock, target: Target, *, recipe_format: int = RECIPE_FORMAT) -> dict[str, Any]:
    """Return all that the lock says of one target, as plain JSON values.

    ``recipe_format`` is part of it: the same target has another image, and another tag, in another format.
    """
    base = lock.base(target)
    described = base.model_dump(mode="json", by_alias=True, exclude={"created", "packages"})
    described["packages"] = {"distribution": base.packages.distribution} if base.packages else None
    debs = [_deb(deb, "base") for deb in lock.base_debs_of(base)]
    debs += [_deb(deb, "system") for deb in lock.system_debs_of(target)]
    # absent rather than null: an environment for CPUs keeps the tag it had before there was such a field
    gpu = {"gpu": target.gpu.model_dump(mode="json", by_alias=True)} if target.gpu else {}
    return {
        "format": recipe_format,
        "name": lock.request.name,
        "variant": target.variant,
        "platform": target.platform,
        "epoch": epoch_of(lock, target),
        "base_epoch": base_epoch_of(lock, target),
        "base": described,
        "interpreter": _interpreter(target.interpreter),
        "prefix": target.prefix,
        "installer": _wheel(lock.installer_of(target)),
        "debs": debs,
        "wheels": [_wheel(wheel) for wheel in lock.wheels_of(target)],
        "env": dict(target.env),
        "user": target.user.model_dump(mode="json", by_alias=True),
        "workdir": target.workdir,
        "command": list(target.command),
        **gpu,
        **_conda(lock, target),
        **({"record": False} if target.record is False else {}),
    }


def target_digest(lock: Lock, target: Target, *, recipe_format: int = RECIPE_FORMAT) -> str:
    """Return ``sha256:…`` of the target's projection: the identity of its image on every machine.

    With an earlier ``recipe_format`` it is that of the image which an earlier release built of the lock.
    """
    return digest_of(project_target(lock, target, recipe_format=recipe_format))


def digest_of(projection: Mapping[str, Any]) -> str:
    """Return ``sha256:…`` of a projection."""
    return "sha256:" + sha256_bytes(canonical_json(projection))


def image_environment(lock: Lock, target: Target, digest: str) -> dict[str, str]:
    """Return every variable of the image of ``target``, by name: the target's, and those for trackers.

    ``digest`` is the target's: who wants the variables has it, and taking it again would take milliseconds.
    """
    # what of a projection says which variables there are
    projected = {
        "name": lock.request.name,
        "variant": target.variant,
        "platform": target.platform,
        "env": target.env,
        "record": target.record,
    }
    return dict(sorted({**target.env, **tracker_variables(projected, digest)}.items()))


def tag_of(digest: str) -> str:
    """Return the image tag that stands for a target digest."""
    return digest.removeprefix("sha256:")[:TAG_DIGITS]


def _deb(deb: Deb, part: str) -> dict[str, Any]:
    return deb.model_dump(mode="json", by_alias=True, exclude=set(_NOT_CONTENT_OF_DEB)) | {"in": part}


def _interpreter(interpreter: Interpreter) -> dict[str, Any]:
    """Return an interpreter; without an archive it looks as it did before there were any."""
    exclude = {"archive": {"path"}} if interpreter.archive else {"archive": True}
    return interpreter.model_dump(mode="json", by_alias=True, exclude=exclude)


def _wheel(wheel: Wheel) -> dict[str, Any]:
    return wheel.model_dump(mode="json", by_alias=True, exclude=set(_NOT_CONTENT_OF_WHEEL))


def _conda(lock: Lock, target: Target) -> dict[str, Any]:
    if target.conda_installer is None:
        return {}
    tool = next(wheel for wheel in lock.wheels if wheel.file == target.conda_installer.wheel)
    return {
        "conda": {
            "installer": _wheel(tool),
            "interpreter": target.conda_installer.interpreter.path,
            "packages": [_conda_package(package) for package in lock.conda_of(target)],
        }
    }


def _conda_package(package: CondaPackage) -> dict[str, Any]:
    return package.model_dump(mode="json", by_alias=True, exclude=set(_NOT_CONTENT_OF_CONDA))


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
