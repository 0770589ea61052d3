"""What a base image stands for: a base of the spec, a GPU, a framework, a Python.

Only what an image's name says is taken; what else is in it is not known here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from envbuild.catalog.bases import DISTRIBUTIONS
from envbuild.catalog.cuda_images import python_of_distribution
from envbuild.catalog.frameworks import builds_of
from envbuild.catalog.versions import version_key
from envbuild.discovery.content import FileContent, PythonEvidence
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

_PYTHON_TAG: Final = re.compile(r"(?P<version>3\.[0-9]+(?:\.[0-9]+)?)(?P<rest>(?:-.*)?)")
_CUDA_TAG: Final = re.compile(r"(?P<cuda>[0-9]+\.[0-9]+)(?:\.[0-9]+)?(?:-(?P<rest>.*))?")
_DISTRIBUTION: Final = re.compile(r"ubuntu[0-9.]+")
_SUITES: Final = {
    "20.04": "focal", "22.04": "jammy", "24.04": "noble", "26.04": "resolute",
    "11": "bullseye", "12": "bookworm", "13": "trixie",
}  # fmt: skip
_DEBIAN_PYTHONS: Final = {"buster": "3.7", "bullseye": "3.9"}
"""Of suites that no base is made of.  Source: the packages of each suite."""

_PYTORCH_PYTHONS: Final = (("1.11", "3.8"), ("1.12", "3.7"), ("1.13", "3.10"), ("2.4", "3.11"), ("2.9", None))
"""Python of pytorch/pytorch from a version on; None: not looked at.  Sources: pytorch/pytorch#73714, public
Dockerfiles, and issues that name the interpreter of an image (2.0.0: 3.10.9, 2.5.1: 3.11.10)."""

_TENSORFLOW_PYTHONS: Final = (("2.10", "3.8"), ("2.14", "3.11"), ("2.20", None))
"""Python of tensorflow/tensorflow from a version on.  Source: tensorflow/tensorflow#82529."""

_CONDA: Final = (
    r"(?:continuumio/(?:mini|ana)conda3?|condaforge/(?:miniforge3?|mambaforge)(?:-pypy3)?"
    r"|mambaorg/micromamba|conda/miniconda3)"
)
_NOT_DEBIAN: Final = (
    r"(?:.*/)?(?:alpine|centos|fedora|rockylinux|almalinux|amazonlinux|oraclelinux|busybox|archlinux"
    r"|ubi[0-9](?:/.*)?|opensuse.*|distroless.*|scratch)"
)


_SURROUNDINGS: Final[tuple[tuple[str, str, Mapping[str, str]], ...]] = (
    (r"lambda/python", "/var/task", {"LAMBDA_TASK_ROOT": "/var/task"}),
    (
        r"jupyter/[a-z0-9-]+",
        "/home/jovyan",
        {"CONDA_DIR": "/opt/conda", "NB_USER": "jovyan", "NB_UID": "1000", "NB_GID": "100"},
    ),
    (r"mambaorg/micromamba", "/tmp", {"MAMBA_USER": "mambauser", "MAMBA_ROOT_PREFIX": "/opt/conda"}),  # noqa: S108
    (r"pytorch/pytorch", "/workspace", {}),
)
"""Folder and variables that steps on a base start with.  Sources: the images' own Dockerfiles."""


_NOT_PYTHON: Final = (
    r"node|nginx(?:inc/.*)?|golang|rust|openjdk|eclipse-temurin|ruby|php|postgres|mysql|mariadb|redis|mongo"
    r"|httpd|maven|gradle|caddy|traefik|dotnet/.*|r-base|rocker/.*|julia|swift|haskell"
)
"""Images of other languages, and of servers."""


def is_for_python(image: str) -> bool:
    """Return whether an image may have Python: those of other languages and of servers are known."""
    return re.fullmatch(_NOT_PYTHON, _split(image)[0]) is None


@dataclass(frozen=True, slots=True)
class _NamedBase:
    image: str
    tag: str
    match: re.Match[str] | None
    where: str
    content: FileContent

    def said(self, group: str) -> str:
        """Return a part of the name."""
        return (self.match[group] or "") if self.match else ""


def read_base_image(image: str, where: str, content: FileContent) -> str | None:
    """Take what ``image`` says; report what of it cannot be taken.

    Returns ``major.minor`` of the Python its distribution has, where that is known.
    """
    name, tag = _split(image)
    for pattern, read in _READERS:
        if match := re.fullmatch(pattern, name):
            return read(_NamedBase(image, tag, match, where, content))
    return _unknown(_NamedBase(image, tag, None, where, content))


def surroundings_of(image: str) -> tuple[str, dict[str, str | None]]:
    """Return the folder that steps on a base start in, and its variables, as far as they are known."""
    name, tag = _split(image)
    if name == "nvidia/cuda" and (version := re.match(r"[0-9]+\.[0-9]+\.[0-9]+", tag)):
        return "/", {"CUDA_VERSION": version[0]}
    found = (row for row in _SURROUNDINGS if re.fullmatch(row[0], name))
    _, workdir, variables = next(found, ("", "/", {}))
    return workdir, dict(variables)


def _split(image: str) -> tuple[str, str]:
    """Return an image's name without its registry and the prefix of official images, and its tag."""
    plain = image.partition("@")[0]
    folder, _, last = plain.rpartition("/")
    last, _, tag = last.partition(":")
    host, _, rest = folder.partition("/")
    if "." in host or ":" in host or host == "localhost":
        folder = rest
    name = f"{folder}/{last}" if folder else last
    return re.sub(r"^(?:docker/)?library/", "", name), tag


def _take_base(image: str, where: str, content: FileContent) -> None:
    try:
        content.tables.setdefault("base", {})["image"] = rules.image(image)
    except RefusedError as error:
        content.tables.pop("base", None)
        content.left.append(error.at(where))


def _python(base: _NamedBase) -> str | None:
    version = _PYTHON_TAG.fullmatch(base.tag)
    if version is None:
        hint = "write the Python as `python` of the spec, or pass --python"
        base.content.leave(base.where, f"`{base.image}` does not say which Python it has", hint)
        return None
    base.content.pythons.append(PythonEvidence(version["version"], base.where))
    if "alpine" in base.tag or "windows" in base.tag or "nanoserver" in base.tag:
        system = "Alpine, for whose libc few wheels are built" if "alpine" in base.tag else "Windows"
        base.content.leave(
            base.where,
            f"`{base.image}` is {system}",
            "the default base of this Python, which is Debian, is taken",
        )
        return None
    if _is_supported(version["version"]):
        _take_base(base.image, base.where, base.content)
    return version["version"]


def _is_supported(python: str) -> bool:
    """Return whether a spec can name a Python; of another one the base is of no use."""
    try:
        rules.python(python)
    except RefusedError:
        return False
    return True


def _uv(base: _NamedBase) -> str | None:
    """Read an image of uv with a Python: ``uv:python3.12-bookworm-slim``."""
    if version := re.search(r"python(3\.[0-9]+)", base.tag):
        base.content.pythons.append(PythonEvidence(version[1], base.where))
    return None


def _system(base: _NamedBase) -> str | None:
    name = base.said("name")
    plain = base.tag.removesuffix("-slim").partition("-20")[0]
    if plain in {"", "latest", "stable", "rolling", "devel", "testing", "unstable"}:
        base.content.leave(
            base.where, f"`{base.image}` names no release", "write one: its Python and packages come from it"
        )
        return None
    suite = _SUITES.get(plain, plain)
    python = DISTRIBUTIONS.get(f"{name}:{suite}") or python_of_distribution(f"{name}{_number(plain)}")
    _take_base(base.image, base.where, base.content)
    return python or _DEBIAN_PYTHONS.get(suite)


def _number(release: str) -> str:
    return next((number for number, suite in _SUITES.items() if suite == release), release)


def _cuda(base: _NamedBase) -> str | None:
    _take_gpu(base.content)
    version = _CUDA_TAG.match(base.tag)
    if version:
        message = f"`{base.image}`: GPUs are taken, its CUDA {version['cuda']} is not demanded"
        cuda = version["cuda"]
        hint = f'wheels bring the CUDA they are built for; `cuda = "{cuda}"` in [gpu] demands this one'
        if "devel" in base.tag:
            hint += ', `image = "devel"` keeps nvcc in the image'
        base.content.leave(base.where, message, hint)
    distribution = _DISTRIBUTION.search(base.tag)
    return python_of_distribution(distribution[0]) if distribution else None


def _pytorch(base: _NamedBase) -> str | None:
    version = re.match(r"(?:v)?([0-9]+\.[0-9]+(?:\.[0-9]+)?)", base.tag)
    cuda = re.search(r"cuda([0-9]+\.[0-9]+)", base.tag)
    if cuda or not version:
        _take_gpu(base.content)
    if version is None:
        base.content.add("pip", "packages", ["torch"])
        return None
    release = version[1] if version[1].count(".") > 1 else f"{version[1]}.0"
    _pinned("torch", release, base.content)
    _since(release, _PYTORCH_PYTHONS, base.where, base.content)
    default = _default_cuda(release)
    if cuda and default and default != cuda[1]:
        build = f"cu{cuda[1].replace('.', '')}"
        hint = f'name the index of {build} in [pip.indexes], and `torch = "NAME"` in [pip.sources]'
        base.content.leave(
            base.where,
            f"`{base.image}` is for CUDA {cuda[1]}, torch {release} of the index for {default}",
            hint,
        )
    if "devel" in base.tag:
        hint = '`image = "devel"` in [gpu], if programs compile for the GPU when they run'
        base.content.leave(base.where, f"`{base.image}` has CUDA's compilers, the spec's base has not", hint)
    return None


def _tensorflow(base: _NamedBase) -> str | None:
    version = re.match(r"([0-9]+\.[0-9]+\.[0-9]+)", base.tag)
    name = "tensorflow[and-cuda]" if "gpu" in base.tag else "tensorflow"
    if "gpu" in base.tag:
        _take_gpu(base.content)
    if "jupyter" in base.tag:
        base.content.add("pip", "packages", ["jupyter"])
    if version is None:
        base.content.add("pip", "packages", [name])
        return None
    if version_key(version[1]) < version_key("2.15.1"):
        name = "tensorflow"  # its extra asks for what no index has; CUDA then comes from the base
    _pinned(name, version[1], base.content)
    _since(version[1], _TENSORFLOW_PYTHONS, base.where, base.content)
    return None


def _conda(base: _NamedBase) -> str | None:
    hint = "the default base is taken; packages of conda lie in /opt/conda of it"
    base.content.leave(base.where, f"`{base.image}` is not taken: envbuild brings conda's packages", hint)
    return None


def _jupyter_stack(base: _NamedBase) -> str | None:
    if version := re.match(r"python-(3\.[0-9]+(?:\.[0-9]+)?)", base.tag):
        base.content.pythons.append(PythonEvidence(version[1], base.where))
    hint = "name in [conda] packages or [pip] packages those that are needed, jupyterlab first"
    base.content.leave(
        base.where, f"`{base.image}` brings packages of its own, which its name does not say", hint
    )
    return None


def _devcontainer(base: _NamedBase) -> str | None:
    kind = base.said("kind")
    version = re.search(r"(?:^|-)(3\.[0-9]+)(?:-|$)", base.tag)
    if kind == "python" and version:
        base.content.pythons.append(PythonEvidence(version[1], base.where))
        return version[1]
    if kind in {"python", "miniconda", "anaconda"}:
        return None
    if kind in {"base", "universal", "debian", "ubuntu"}:
        return python_of_distribution(f"ubuntu{_number(base.tag.removeprefix('ubuntu-'))}")
    base.content.leave(base.where, f"`{base.image}` is not an image for Python", "its tools are not taken")
    return None


def _lambda(base: _NamedBase) -> str | None:
    if version := _PYTHON_TAG.match(base.tag):
        base.content.pythons.append(PythonEvidence(version["version"], base.where))
    hint = "the default base is taken; the runtime of that service is not part of it"
    base.content.leave(base.where, f"`{base.image}` is Amazon Linux", hint)
    return None


def _rocm(base: _NamedBase) -> str | None:
    base.content.tables.setdefault("gpu", {})["vendor"] = "amd"
    hint = "name torch in [pip] packages, and bind it to the index of that ROCm in [pip.sources]"
    base.content.leave(
        base.where, f"`{base.image}`: GPUs of AMD are taken, what else it has is not known", hint
    )
    if version := re.search(r"py(3\.[0-9]+)", base.tag):
        base.content.pythons.append(PythonEvidence(version[1], base.where))
    return None


def _ngc(base: _NamedBase) -> str | None:
    _take_gpu(base.content)
    hint = 'write which releases you need of it: `packages = ["torch==…"]` in [pip]'
    base.content.leave(base.where, f"`{base.image}` has builds of its own, which its name does not say", hint)
    return None


def _not_python(base: _NamedBase) -> str | None:
    base.content.leave(base.where, f"`{base.image}` is not an image for Python", "its tools are not taken")
    return None


def _not_debian(base: _NamedBase) -> str | None:
    hint = "the default base is taken; name Debian's packages in [system] packages"
    base.content.leave(base.where, f"`{base.image}` is not Debian or Ubuntu", hint)
    return None


def _unknown(base: _NamedBase) -> str | None:
    hint = f'if it is Debian or Ubuntu without a Python environment: `image = "{base.image}"` in [base]'
    base.content.leave(base.where, f"`{base.image}` is not known: what is in it is not taken", hint)
    return None


def _take_gpu(content: FileContent) -> None:
    content.tables.setdefault("gpu", {}).setdefault("cuda", "auto")


def _pinned(name: str, version: str, content: FileContent) -> None:
    content.add("pip", "packages", [f"{name}=={version}"])


def _since(version: str, rows: tuple[tuple[str, str | None], ...], where: str, content: FileContent) -> None:
    fitting = [python for since, python in rows if version_key(since) <= version_key(version)]
    if fitting and fitting[-1]:
        content.pythons.append(PythonEvidence(fitting[-1], where))


def _default_cuda(version: str) -> str | None:
    """Return the CUDA that torch of the usual index is built for, where the catalogue knows it."""
    found = [
        build.cuda
        for build in builds_of("torch")
        if build.build == "default" and version_key(build.since) <= version_key(version)
    ]
    return found[-1] if found else None


_Read = Callable[[_NamedBase], str | None]

_READERS: Final[tuple[tuple[str, _Read], ...]] = (
    (r"python", _python),
    (r"astral(?:-sh)?/uv", _uv),
    (r"(?P<name>debian|ubuntu|buildpack-deps)", _system),
    (r"nvidia/cuda", _cuda),
    (r"pytorch/pytorch", _pytorch),
    (r"tensorflow/tensorflow", _tensorflow),
    (_CONDA, _conda),
    (r"jupyter/[a-z0-9-]+", _jupyter_stack),
    (r"(?:vscode/)?devcontainers/(?P<kind>[a-z-]+)", _devcontainer),
    (r"lambda/python", _lambda),
    (r"rocm/[a-z0-9_-]+", _rocm),
    (r"nvidia/(?P<framework>pytorch|tensorflow|jax|nemo|tritonserver)", _ngc),
    (_NOT_DEBIAN, _not_debian),
    (_NOT_PYTHON, _not_python),
)
