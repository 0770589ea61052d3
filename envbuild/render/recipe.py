"""From one target of a lock to the folder an engine builds: a pure function, same lock in, same bytes out.

The recipe is a Dockerfile and the few files it binds.  Two things are named but not held: the artifacts,
which a build takes from the store or fetches itself, and the seed of a bootstrapped base, made of them.
"""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from envbuild.digest import canonical_json
from envbuild.lock.conda import CondaPackage
from envbuild.lock.identity import (
    base_epoch_of,
    epoch_of,
    image_environment,
    project_target,
    tag_of,
    target_digest,
)
from envbuild.lock.image_paths import LOCK_FILE, PROBE_FILE
from envbuild.lock.model import Deb, ImageSource, Lock, PythonArchive, Target, Wheel
from envbuild.platforms import DEFAULT_PATH
from envbuild.render.labels import labels_of
from envbuild.render.layers import NAMED, WheelLayer, layer_budget, plan_groups, plan_wheel_layers
from envbuild.render.templates import render_template, template_folder
from envbuild.runtime.names import CARRIED

FETCHES_PER_STAGE = 40
"""ADD steps in one stage: each is a layer there, and engines stop at about 125 in one chain."""

SCRIPTS = (
    "bootstrap.sh",
    "clamp.sh",
    "compile.py",
    "finish.sh",
    "install.py",
    "system.sh",
    "venv.sh",
    "wheels.sh",
)
CONDA_SCRIPTS = ("conda.py", "conda.sh", "conda-layer.sh")
"""Only in recipes with conda packages."""

CONDA_LAYERS = 20
"""The most layers of conda packages; what is left goes to wheels, of which such environments have few."""

FORMATS = Path(__file__).parents[1] / "formats"

MODULES = ("bytecode.py", "wheel_files.py")
"""Modules of ``envbuild/formats`` that the install script imports: all engines follow the same rules."""

PYTHON_SCRIPT = "python.sh"
"""Only in a recipe that lays a standalone Python."""

BUILT = "built"
"""Folder of a recipe for wheels that no address has: built from source, or carried by envbuild."""

SEED = "seed.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One locked file, where it lies in the build and where a plain build gets it."""

    sha256: str
    target: str
    """Absolute path in the ``artifacts`` stage."""

    argument: str | None
    """Build argument that holds the address; None: none is needed."""

    path: str
    """Path below the address; without an argument, the address itself, or a path in the recipe's folder."""

    is_built: bool = False
    """Whether it is a wheel that no address has: a plain build takes it from the recipe's folder."""

    @property
    def relative_target(self) -> str:
        """Path in the folder of artifacts that stands in for the stage."""
        return self.target.lstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an engine builds for one target."""

    digest: str
    """The target's: ``sha256:…``."""

    tag: str
    epoch: int
    """SOURCE_DATE_EPOCH, seconds since 1970."""

    base_epoch: int
    """The same for the steps that make the base and its packages."""

    platform: str
    files: Mapping[str, bytes]
    """Content by relative path, sorted: the Dockerfile first of all."""

    fetches: tuple[Fetch, ...]
    seed: tuple[Deb, ...]
    """Packages a bootstrapped base starts from, in the order they are unpacked; empty for an image base."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Build arguments a plain build must be given, sorted."""
        return _arguments(self.fetches)


@dataclass(frozen=True, slots=True)
class _LayerView:
    comment: str
    folder: str


@dataclass(frozen=True, slots=True)
class _Chunk:
    stage: str
    files: tuple[Fetch, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        return _arguments(self.files)


def _arguments(fetches: Iterable[Fetch]) -> tuple[str, ...]:
    return tuple(sorted({fetch.argument for fetch in fetches if fetch.argument}))


def render_recipe(lock: Lock, target: Target, *, probe: bytes) -> Recipe:
    """Return the recipe of ``target``; ``probe`` is the program the image carries to be verified with."""
    image = lock.base(target).image
    below = (len(image.layers) if image else 1) + len(plan_conda_layers(lock, target))
    budget = layer_budget(below)
    layers = plan_wheel_layers(lock.wheels_of(target), budget=budget)
    fetches = _plan_fetches(lock, target, layers)
    digest = target_digest(lock, target)
    is_standalone = archive_of(target) is not None
    files = {
        "Dockerfile": _dockerfile(lock, target, layers=layers, fetches=fetches, digest=digest).encode(),
        **{f"envbuild/{name}": content for name, content in carried_files(lock, target, probe=probe).items()},
        **{f"recipe/{name}": content for name, content in recipe_scripts(standalone=is_standalone).items()},
        **{f"recipe/{name}": content for name, content in conda_files(lock, target).items()},
    }
    return Recipe(
        digest=digest,
        tag=tag_of(digest),
        epoch=epoch_of(lock, target),
        base_epoch=base_epoch_of(lock, target),
        platform=target.platform,
        files=files,
        fetches=fetches,
        seed=plan_seed(lock.base_debs_of(lock.base(target))),
    )


def carried_files(lock: Lock, target: Target, *, probe: bytes) -> dict[str, bytes]:
    """Return what an image carries in ``/etc/envbuild``, by name: its target's lock, and its probe."""
    return {LOCK_FILE: canonical_json(project_target(lock, target)) + b"\n", PROBE_FILE: probe}


def recipe_scripts(*, standalone: bool = False) -> dict[str, bytes]:
    """Return what the steps of a build run, by name in the recipe's folder; ``standalone``: Python, too."""
    scripts = template_folder() / "recipe"
    names = (*SCRIPTS, *((PYTHON_SCRIPT,) if standalone else ()))
    return {
        **{name: (scripts / name).read_bytes() for name in names},
        **{name: (FORMATS / name).read_bytes() for name in MODULES},
    }


def archive_of(target: Target) -> PythonArchive | None:
    """Return the standalone Python a build lays down: the environment's, or what lays its packages down."""
    installer = target.conda_installer
    return target.interpreter.archive or (installer.interpreter.archive if installer else None)


def plan_conda_layers(lock: Lock, target: Target) -> tuple[tuple[CondaPackage, ...], ...]:
    """Return which conda packages of ``target`` share a layer, bottom first."""
    return plan_groups(lock.conda_of(target), budget=CONDA_LAYERS)


def conda_files(lock: Lock, target: Target) -> dict[str, bytes]:
    """Return what lays conda packages down, by name in the recipe's folder; nothing where there are none."""
    if not target.conda:
        return {}
    plan = {
        "layers": [[package.key for package in group] for group in plan_conda_layers(lock, target)],
        "link-scripts": any(package.link_scripts for package in lock.conda_of(target)),
    }
    scripts = template_folder() / "recipe"
    return {
        **{name: (scripts / name).read_bytes() for name in CONDA_SCRIPTS},
        "conda.json": canonical_json(plan) + b"\n",
    }


def plan_seed(debs: tuple[Deb, ...]) -> tuple[Deb, ...]:
    """Return the packages that must lie unpacked before dpkg can run: the essential ones and what they need.

    Essential packages work when unpacked but not configured (Debian Policy 3.8), so their closure over
    Depends and Pre-Depends is enough to run dpkg and maintainer scripts.
    """
    return closure_of(debs, (deb.name for deb in debs if deb.essential))


def closure_of(debs: tuple[Deb, ...], names: Iterable[str]) -> tuple[Deb, ...]:
    """Return those of ``debs`` that are called ``names`` or that these need, by name."""
    by_name = {deb.name: deb for deb in debs}
    providers: dict[str, str] = {}
    for deb in debs:
        for provided in deb.provides:
            providers.setdefault(_package_name(provided), deb.name)
    wanted = sorted(names)
    closure: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in closure:
            continue
        closure.add(name)
        for group in by_name[name].depends:
            alternatives = [_package_name(relation) for relation in group.split("|")]
            found = [by_name[item].name for item in alternatives if item in by_name]
            found += [providers[item] for item in alternatives if item in providers]
            wanted.extend(found[:1])
    return tuple(by_name[name] for name in sorted(closure))


def _package_name(relation: str) -> str:
    return relation.strip().split(" ")[0].split("(")[0].split(":")[0]


def _plan_fetches(lock: Lock, target: Target, layers: tuple[WheelLayer, ...]) -> tuple[Fetch, ...]:
    fetches = [_wheel_fetch(lock.installer_of(target), "/tools")]
    for position, layer in enumerate(layers, start=1):
        fetches += [_wheel_fetch(wheel, _layer_folder(position)) for wheel in layer.wheels]
    if archive := archive_of(target):
        fetches.append(_python_fetch(archive))
    fetches += [_deb_fetch(deb, "/debs/base") for deb in lock.base_debs_of(lock.base(target))]
    if target.conda_installer:
        fetches += [
            _wheel_fetch(wheel, "/conda-tools")
            for wheel in lock.tools_of(target)
            if wheel.file == target.conda_installer.wheel
        ]
    fetches += [_conda_fetch(package) for package in lock.conda_of(target)]
    fetches += [_deb_fetch(deb, "/debs/system") for deb in lock.system_debs_of(target)]
    return tuple(fetches)


def _python_fetch(archive: PythonArchive) -> Fetch:
    return Fetch(
        sha256=archive.sha256,
        target=f"/python/{archive.file}",
        argument="PYTHON_URL",
        path=archive.path,
    )


def _layer_folder(position: int) -> str:
    return f"/wheels/{position}"


def _wheel_fetch(wheel: Wheel, folder: str) -> Fetch:
    if wheel.url or wheel.hash_source == "built" or wheel.index == CARRIED:
        return Fetch(
            sha256=wheel.sha256,
            target=f"{folder}/{wheel.file}",
            argument=None,
            path=wheel.url or f"{BUILT}/{wheel.file}",
            is_built=wheel.url is None,
        )
    index = "" if wheel.index == "default" else f"_{_argument_name(wheel.index)}"
    return Fetch(
        sha256=wheel.sha256,
        target=f"{folder}/{wheel.file}",
        argument=f"WHEELS{index}_URL",
        path=wheel.path or wheel.file,
    )


def _deb_fetch(deb: Deb, folder: str) -> Fetch:
    return Fetch(
        sha256=deb.sha256,
        target=f"{folder}/{posixpath.basename(deb.path)}",
        argument=f"{_argument_name(deb.archive)}_URL",
        path=deb.path,
    )


def _conda_fetch(package: CondaPackage) -> Fetch:
    return Fetch(
        sha256=package.sha256,
        # a target has one version of a package, so names do not collide between channels
        target=f"/conda/{package.file}",
        argument=f"CHANNEL_{_argument_name(package.channel)}_URL",
        path=package.path,
    )


def _argument_name(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name).upper()


def _dockerfile(
    lock: Lock, target: Target, *, layers: tuple[WheelLayer, ...], fetches: tuple[Fetch, ...], digest: str
) -> str:
    base = lock.base(target)
    epoch = epoch_of(lock, target)
    chunks = tuple(
        _Chunk(f"fetch-{start // FETCHES_PER_STAGE + 1}", fetches[start : start + FETCHES_PER_STAGE])
        for start in range(0, len(fetches), FETCHES_PER_STAGE)
    )
    arguments = _arguments(fetches)
    values = {
        "title": _title(lock, target),
        "digest": digest,
        "epoch": epoch,
        "base_epoch": base_epoch_of(lock, target),
        "command_lines": (
            f"--platform {target.platform} --build-arg SOURCE_DATE_EPOCH={epoch}",
            *(f"--build-arg {argument}=https://…" for argument in arguments),
            f"--provenance=false --tag {lock.request.name}:{tag_of(digest)} .",
        ),
        "chunks": chunks,
        "bootstrapped": base.packages is not None,
        "base_image": _pinned(base.image) if base.image else "",
        "base_path": base.env.get("PATH", DEFAULT_PATH),
        "has_system_debs": bool(target.debs),
        "standalone": target.interpreter.archive is not None,
        "interpreter": target.interpreter.path,
        "prefix": target.prefix,
        "conda_standalone": target.interpreter.archive is None and archive_of(target) is not None,
        "conda_interpreter": target.conda_installer.interpreter.path if target.conda_installer else "",
        "conda_layers": tuple(
            _LayerView(describe_packages(group), f"/layers/{position}")
            for position, group in enumerate(plan_conda_layers(lock, target), start=1)
        ),
        "wheel_layers": tuple(
            _LayerView(layer.comment, _layer_folder(position))
            for position, layer in enumerate(layers, start=1)
        ),
        "user": target.user,
        "workdir": target.workdir,
        "env": sorted(
            (name, value)
            for name, value in image_environment(lock, target, digest).items()
            if base.packages or base.env.get(name) != value
        ),
        "labels": sorted(labels_of(lock, target, digest, engine="docker").items()),
        "command": list(target.command),
    }
    return render_template("Dockerfile.j2", values)


def describe_packages(packages: tuple[CondaPackage, ...]) -> str:
    """Return what is in a layer of conda packages, in a line."""
    names = [f"{package.name} {package.version}" for package in packages]
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def _pinned(image: ImageSource) -> str:
    return f"{image.reference.partition('@')[0]}@{image.digest}"


def _title(lock: Lock, target: Target) -> str:
    return f"{lock.request.name} ({target.variant}, {target.platform})"
