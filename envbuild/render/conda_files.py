"""A lock's conda packages in conda's own words: conda-lock.yml, and what ``conda create --file`` takes.

Addresses are arguments: a lock has none.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.errors import LockError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Lock, Target, Wheel
from envbuild.platforms import PLATFORMS

AddressOf = Callable[[CondaPackage], str]
"""Where a package is, without credentials."""


def render_conda_lock(
    lock: Lock, variant: str, *, address_of: AddressOf, wheel_address_of: Callable[[Wheel], str]
) -> str:
    """Return one variant, all platforms, as a conda-lock.yml of format version 1.

    :raises LockError: the variant has no conda packages, or one of them no md5, which the format asks for.
    """
    # slow to import, and nothing else renders YAML
    import yaml  # noqa: PLC0415

    targets = [target for target in lock.targets if target.variant == variant]
    request = lock.request.variants[variant].conda
    if request is None or not targets:
        raise no_conda(variant)
    packages: list[dict[str, Any]] = []
    hashes = {}
    for target in targets:
        platform = PLATFORMS[target.platform].conda
        entries = [_conda_entry(package, platform, address_of) for package in lock.conda_of(target)]
        entries += [_pip_entry(wheel, platform, wheel_address_of) for wheel in lock.wheels_of(target)]
        entries.sort(key=lambda entry: (entry["manager"], entry["name"]))
        hashes[platform] = sha256_bytes(canonical_json(entries))
        packages += entries
    document = {
        "version": 1,
        "metadata": {
            "content_hash": hashes,
            "channels": [{"url": channel, "used_env_vars": []} for channel in request.channels],
            "platforms": sorted(hashes),
            "sources": [],
        },
        "package": packages,
    }
    return "# Written by envbuild from its lock.\n" + yaml.safe_dump(document, sort_keys=False)


def render_explicit(packages: Iterable[CondaPackage], platform: str, *, address_of: AddressOf) -> str:
    """Return one target as an explicit list: an address and a digest a line, in an order that installs."""
    lines = [f"# platform: {platform}", "@EXPLICIT"]
    for package in ordered(packages):
        digest = package.md5 or f"sha256:{package.sha256}"
        lines.append(f"{address_of(package)}#{digest}")
    return "\n".join(lines) + "\n"


def ordered(packages: Iterable[CondaPackage]) -> tuple[CondaPackage, ...]:
    """Return packages after those they depend on; where they depend on each other, by name."""
    by_name = {package.name: package for package in packages}
    done: dict[str, CondaPackage] = {}

    def visit(name: str, above: frozenset[str]) -> None:
        if name in done or name in above or name not in by_name:
            return
        for required in sorted(_names(by_name[name].depends)):
            visit(required, above | {name})
        done[name] = by_name[name]

    for name in sorted(by_name):
        visit(name, frozenset())
    return tuple(done.values())


def no_conda(variant: str) -> LockError:
    """Return the error that says there is nothing to export."""
    return LockError(
        f"variant `{variant}` has no conda packages", hint="add [conda] to the spec and lock again"
    )


def _conda_entry(package: CondaPackage, platform: str, address_of: AddressOf) -> dict[str, Any]:
    if package.md5 is None:
        raise LockError(f"the channel gives no md5 of `{package.file}`, and a conda-lock.yml asks for one")
    return {
        "name": package.name,
        "version": package.version,
        "manager": "conda",
        "platform": platform,
        "dependencies": _dependencies(package.depends),
        "url": address_of(package),
        "hash": {"md5": package.md5, "sha256": package.sha256},
        "category": "main",
        "optional": False,
    }


def _pip_entry(wheel: Wheel, platform: str, address_of: Callable[[Wheel], str]) -> dict[str, Any]:
    return {
        "name": wheel.name,
        "version": wheel.version,
        "manager": "pip",
        "platform": platform,
        "dependencies": {},
        "url": address_of(wheel),
        "hash": {"sha256": wheel.sha256},
        "category": "main",
        "optional": False,
    }


def _dependencies(depends: Iterable[str]) -> dict[str, str]:
    """Return the version asked of each package, as conda-lock writes it: conditions on one are joined."""
    found: dict[str, list[str]] = {}
    for text in depends:
        name, _, rest = text.strip().partition(" ")
        version = rest.strip().partition(" ")[0]
        found.setdefault(name, [])
        if version:
            found[name].append(version)
    return {name: ",".join(versions) for name, versions in sorted(found.items())}


def _names(depends: Iterable[str]) -> set[str]:
    return {re.split(r"[\s=<>!~\[]", text.strip())[0] for text in depends}


def subdir_of(target: Target) -> str:
    """Return what conda calls a target's platform."""
    return PLATFORMS[target.platform].conda
