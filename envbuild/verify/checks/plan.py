"""From a locked target to the list of what must hold; nothing here has seen a container."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from envbuild.verify.checks.target import LockedGpu, LockedTarget

VENDORS = {"nvidia": "NVIDIA", "amd": "AMD"}

Kind = Literal[
    "os",
    "libc",
    "architecture",
    "interpreter",
    "venv",
    "deb",
    "extra-debs",
    "conda",
    "extra-conda",
    "wheel",
    "extra-wheels",
    "variable",
    "extra-variables",
    "user",
    "image",
    "label",
    "base-layers",
    "wheel-files",
    "conda-files",
    "prefix-extras",
    "deb-files",
    "system-extras",
    "bytecode",
    "gpu-library",
    "gpu-driver",
    "gpu-devices",
    "gpu-vendor",
    "gpu-import",
    "gpu-kernels",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold."""

    id: str
    group: str
    title: str
    kind: Kind
    subject: str = ""
    """What the evaluator looks up: a package, a variable, a field."""

    expected: str | None = None


def plan_checks(
    target: LockedTarget, *, labels: Mapping[str, str] | None = None, deep: bool = False
) -> tuple[Check, ...]:
    """Return all checks of ``target``, in the order a report shows them.

    ``labels`` are those the image must carry; ``deep`` adds every file and all bytecode.
    """
    checks = [
        *_system(target),
        *_interpreter(target),
        *_debs(target),
        *_conda(target),
        *_wheels(target),
        *_variables(target),
        *_configuration(target, labels or {}),
    ]
    if deep:
        checks += _files(target)
    if target.gpu is not None:
        checks += _gpu(target.gpu)
        if deep:
            checks += _frameworks(target)
    return tuple(checks)


def plan_host_checks(target: LockedTarget) -> tuple[Check, ...]:
    """Return the checks a machine can answer without a container: processor, driver, GPUs.

    Its operating system is not among them: an image brings its own.
    """
    checks = [check for check in _system(target) if check.kind == "architecture"]
    if target.gpu is not None:
        vendor = target.gpu.vendor
        title = "vendor of the GPUs"
        checks.append(
            Check(id="gpu/vendor", group="gpu", title=title, kind="gpu-vendor", expected=VENDORS[vendor])
        )
        checks += [check for check in _gpu(target.gpu) if check.kind != "gpu-library"]
    return tuple(checks)


def locked_debs(target: LockedTarget) -> dict[str, str]:
    """Return the version of every deb the image must have, by ``name:architecture``.

    A system package replaces the base's own of that name, also where one of the two is for all architectures.
    """
    expected: dict[str, str] = {}
    for line in target.base.debs:
        name, _, rest = line.partition("=")
        version, _, architecture = rest.rpartition(":")
        expected[f"{name}:{architecture}"] = version
    for deb in target.debs:
        for key in (f"{deb.name}:all", f"{deb.name}:{deb.architecture}"):
            expected.pop(key, None)
        if deb.architecture == "all":
            for key in [key for key in expected if key.partition(":")[0] == deb.name]:
                del expected[key]
        expected[f"{deb.name}:{deb.architecture}"] = deb.version
    return dict(sorted(expected.items()))


def _system(target: LockedTarget) -> Iterator[Check]:
    locked = target.base.os
    for field, expected in (
        ("id", locked.id),
        ("version-id", locked.version_id),
        ("codename", locked.codename),
    ):
        if expected is not None:
            yield Check(
                id=f"os/{field}",
                group="system",
                title=f"os {field}",
                kind="os",
                subject=field,
                expected=expected,
            )
    libc = f"{target.base.libc.family} {target.base.libc.version}"
    yield Check(id="libc", group="system", title="C library", kind="libc", expected=libc)
    yield Check(
        id="architecture", group="system", title="architecture", kind="architecture", expected=target.platform
    )


def _interpreter(target: LockedTarget) -> Iterator[Check]:
    interpreter = target.interpreter
    for field, expected in (
        ("implementation", interpreter.implementation),
        ("version", interpreter.version),
        ("path", interpreter.path),
        ("sha256", interpreter.sha256),
    ):
        if expected is not None:
            yield Check(
                id=f"interpreter/{field}",
                group="interpreter",
                title=f"python {field}",
                kind="interpreter",
                subject=field,
                expected=expected,
            )
    if target.conda is None:
        yield Check(id="venv", group="interpreter", title=f"{target.prefix}/pyvenv.cfg", kind="venv")


def _debs(target: LockedTarget) -> Iterator[Check]:
    for key, version in locked_debs(target).items():
        name, _, architecture = key.partition(":")
        title = name if architecture in {"all", _native(target)} else key
        yield Check(
            id=f"deb/{key}", group="system packages", title=title, kind="deb", subject=key, expected=version
        )
    yield Check(id="debs", group="system packages", title="no other system packages", kind="extra-debs")


def _conda(target: LockedTarget) -> Iterator[Check]:
    if target.conda is None:
        return
    for package in sorted(target.conda.packages, key=lambda package: package.name):
        yield Check(
            id=f"conda/{package.name}",
            group="conda packages",
            title=package.name,
            kind="conda",
            subject=package.name,
            expected=f"{package.version} {package.build}",
        )
    yield Check(id="conda", group="conda packages", title="no other conda packages", kind="extra-conda")


def _wheels(target: LockedTarget) -> Iterator[Check]:
    for wheel in sorted(target.wheels, key=lambda wheel: wheel.name):
        yield Check(
            id=f"wheel/{wheel.name}",
            group="python packages",
            title=wheel.name,
            kind="wheel",
            subject=wheel.name,
            expected=wheel.version,
        )
    yield Check(id="wheels", group="python packages", title="no other python packages", kind="extra-wheels")


def _variables(target: LockedTarget) -> Iterator[Check]:
    for name, value in sorted(target.env.items()):
        yield Check(
            id=f"env/{name}", group="environment", title=name, kind="variable", subject=name, expected=value
        )
    yield Check(id="env", group="environment", title="no other variables", kind="extra-variables")


def _configuration(target: LockedTarget, labels: Mapping[str, str]) -> Iterator[Check]:
    user = target.user
    yield Check(
        id="user",
        group="configuration",
        title="user",
        kind="user",
        expected=f"{user.name} ({user.uid}:{user.gid})",
    )
    for field, expected in (
        ("architecture", target.platform.partition("/")[2]),
        ("user", f"{user.uid}:{user.gid}"),
        ("workdir", target.workdir),
        ("command", " ".join(target.command)),
        ("entrypoint", ""),
    ):
        yield Check(
            id=f"image/{field}",
            group="configuration",
            title=f"image {field}",
            kind="image",
            subject=field,
            expected=expected,
        )
    for name, value in sorted(labels.items()):
        yield Check(
            id=f"label/{name}", group="configuration", title=name, kind="label", subject=name, expected=value
        )
    if target.base.image is not None:
        yield Check(
            id="base-layers",
            group="configuration",
            title=f"layers of {target.base.image.reference}",
            kind="base-layers",
            expected=f"{len(target.base.image.diff_ids)} layers of the locked base",
        )


def _files(target: LockedTarget) -> Iterator[Check]:
    for wheel in sorted(target.wheels, key=lambda wheel: wheel.name):
        yield Check(
            id=f"files/wheel/{wheel.name}",
            group="files",
            title=f"files of {wheel.name} {wheel.version}",
            kind="wheel-files",
            subject=wheel.file,
        )
    for package in sorted(target.conda.packages if target.conda else (), key=lambda package: package.name):
        yield Check(
            id=f"files/conda/{package.name}",
            group="files",
            title=f"files of {package.name} {package.version}",
            kind="conda-files",
            subject=package.file,
        )
    yield Check(
        id="files/prefix", group="files", title=f"no other files in {target.prefix}", kind="prefix-extras"
    )
    for deb in sorted(target.debs, key=lambda deb: deb.file):
        yield Check(
            id=f"files/deb/{deb.name}:{deb.architecture}",
            group="files",
            title=f"files of {deb.name} {deb.version}",
            kind="deb-files",
            subject=deb.file,
        )
    if target.base.image is None:
        # of an image base the files are its layers, which base-layers compares
        yield Check(
            id="files/system", group="files", title="no other files in system folders", kind="system-extras"
        )
    yield Check(id="bytecode", group="files", title="bytecode", kind="bytecode")


def _gpu(gpu: LockedGpu) -> Iterator[Check]:
    for library in sorted(gpu.libraries, key=lambda library: (library.name, library.soname)):
        yield Check(
            id=f"gpu/library/{library.soname}",
            group="gpu",
            title=library.soname,
            kind="gpu-library",
            subject=library.soname,
            expected=library.version,
        )
    yield Check(
        id="gpu/driver",
        group="gpu",
        title=f"{VENDORS[gpu.vendor]} driver",
        kind="gpu-driver",
        expected=f">={gpu.driver_minimum}" if gpu.driver_minimum else None,
    )
    yield Check(id="gpu/device", group="gpu", title="GPUs", kind="gpu-devices")


def _frameworks(target: LockedTarget) -> Iterator[Check]:
    for framework in target.frameworks:
        yield Check(
            id=f"gpu/import/{framework}",
            group="gpu",
            title=f"libraries that {framework} loads",
            kind="gpu-import",
            subject=framework,
            expected="locked files",
        )
        yield Check(
            id=f"gpu/kernel/{framework}",
            group="gpu",
            title=f"{framework} on each GPU",
            kind="gpu-kernels",
            subject=framework,
        )


def _native(target: LockedTarget) -> str:
    return target.platform.partition("/")[2]
