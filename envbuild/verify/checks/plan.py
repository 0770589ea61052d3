"""From a locked target to the list of what must hold; nothing here has seen a container."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from envbuild.verify.checks.target import LockedCondaPackage, LockedGpu, LockedTarget, LockedWheel

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
    "user",
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


class _Group(NamedTuple):
    """A heading of a report, and how its checks are made."""

    name: str

    def check(
        self, check_id: str, title: str, kind: Kind, expected: str | None = None, *, subject: str = ""
    ) -> Check:
        """Return one check of this group."""
        return Check(id=check_id, group=self.name, title=title, kind=kind, subject=subject, expected=expected)

    def each(
        self, check_id: str, kind: Kind, values: Mapping[str, str | None], *, title: str = "{}"
    ) -> Iterator[Check]:
        """Yield a check of each name that has a value; the name goes into ``title`` and ends the id."""
        for name, expected in values.items():
            if expected is not None:
                yield self.check(f"{check_id}/{name}", title.format(name), kind, expected, subject=name)


_SYSTEM = _Group("system")
_INTERPRETER = _Group("interpreter")
_SYSTEM_PACKAGES = _Group("system packages")
_CONDA_PACKAGES = _Group("conda packages")
_PYTHON_PACKAGES = _Group("python packages")
_ENVIRONMENT = _Group("environment")
_GPU = _Group("gpu")


def plan_checks(target: LockedTarget, *, imports: bool = False) -> tuple[Check, ...]:
    """Return all that a container is asked about ``target``, in the order a report shows it.

    ``imports`` adds what comes of importing the locked frameworks that compute on GPUs.
    """
    checks = [
        *_system(target),
        *_interpreter(target),
        *_debs(target),
        *_conda(target),
        *_wheels(target),
        *_process(target),
    ]
    if target.gpu is not None:
        checks += _gpu(target.gpu)
        if imports:
            checks += _frameworks(target)
    return tuple(checks)


def plan_host_checks(target: LockedTarget) -> tuple[Check, ...]:
    """Return the checks a machine can answer without a container: processor, driver, GPUs.

    Its operating system is not among them: an image brings its own.
    """
    checks = [check for check in _system(target) if check.kind == "architecture"]
    if target.gpu is not None:
        vendor = VENDORS[target.gpu.vendor]
        checks.append(_GPU.check("gpu/vendor", "vendor of the GPUs", "gpu-vendor", vendor))
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
    fields = {"id": locked.id, "version-id": locked.version_id, "codename": locked.codename}
    yield from _SYSTEM.each("os", "os", fields, title="os {}")
    libc = f"{target.base.libc.family} {target.base.libc.version}"
    yield _SYSTEM.check("libc", "C library", "libc", libc)
    yield _SYSTEM.check("architecture", "architecture", "architecture", target.platform)


def _interpreter(target: LockedTarget) -> Iterator[Check]:
    locked = target.interpreter
    fields = {
        "implementation": locked.implementation,
        "version": locked.version,
        "path": locked.path,
        "sha256": locked.sha256,
    }
    yield from _INTERPRETER.each("interpreter", "interpreter", fields, title="python {}")
    if target.conda is None:
        yield _INTERPRETER.check("venv", f"{target.prefix}/pyvenv.cfg", "venv")


def _debs(target: LockedTarget) -> Iterator[Check]:
    for key, version in locked_debs(target).items():
        name, _, architecture = key.partition(":")
        title = name if architecture in {"all", _native(target)} else key
        yield _SYSTEM_PACKAGES.check(f"deb/{key}", title, "deb", version, subject=key)
    yield _SYSTEM_PACKAGES.check("debs", "no other system packages", "extra-debs")


def _conda(target: LockedTarget) -> Iterator[Check]:
    if target.conda is None:
        return
    versions = {package.name: f"{package.version} {package.build}" for package in _conda_packages(target)}
    yield from _CONDA_PACKAGES.each("conda", "conda", versions)
    yield _CONDA_PACKAGES.check("conda", "no other conda packages", "extra-conda")


def _wheels(target: LockedTarget) -> Iterator[Check]:
    versions = {wheel.name: wheel.version for wheel in _sorted_wheels(target)}
    yield from _PYTHON_PACKAGES.each("wheel", "wheel", versions)
    yield _PYTHON_PACKAGES.check("wheels", "no other python packages", "extra-wheels")


def _process(target: LockedTarget) -> Iterator[Check]:
    yield from _ENVIRONMENT.each("env", "variable", dict(sorted(target.variables.items())))
    user = target.user
    yield _ENVIRONMENT.check("user", "user", "user", f"{user.name} ({user.uid}:{user.gid})")


def _gpu(gpu: LockedGpu) -> Iterator[Check]:
    for library in sorted(gpu.libraries, key=lambda library: (library.name, library.soname)):
        yield from _GPU.each("gpu/library", "gpu-library", {library.soname: library.version})
    driver = f">={gpu.driver_minimum}" if gpu.driver_minimum else None
    yield _GPU.check("gpu/driver", f"{VENDORS[gpu.vendor]} driver", "gpu-driver", driver)
    yield _GPU.check("gpu/device", "GPUs", "gpu-devices")


def _frameworks(target: LockedTarget) -> Iterator[Check]:
    for name in target.frameworks:
        title = f"libraries that {name} loads"
        yield _GPU.check(f"gpu/import/{name}", title, "gpu-import", "locked files", subject=name)
        yield _GPU.check(f"gpu/kernel/{name}", f"{name} on each GPU", "gpu-kernels", subject=name)


def _sorted_wheels(target: LockedTarget) -> list[LockedWheel]:
    return sorted(target.wheels, key=lambda wheel: wheel.name)


def _conda_packages(target: LockedTarget) -> list[LockedCondaPackage]:
    packages = target.conda.packages if target.conda else ()
    return sorted(packages, key=lambda package: package.name)


def _native(target: LockedTarget) -> str:
    return target.platform.partition("/")[2]
