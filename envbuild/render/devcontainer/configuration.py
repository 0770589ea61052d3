"""What a dev container's configuration says: a pure function of the locked target and the spec's wishes.

Properties: containers.dev, "Dev Container metadata reference".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from envbuild.lock.identity import target_digest
from envbuild.lock.image_paths import IMAGE_PROBE
from envbuild.lock.model import Lock, Target
from envbuild.spec.model import DevContainerTable

RECORD = ("customizations", "envbuild")
"""Where the configuration holds what envbuild knows of it: tools have a place of their own there."""

DOCKERFILE = "Dockerfile"

_EXTENSIONS = {"ipykernel": "ms-toolsai.jupyter", "ruff": "charliermarsh.ruff"}
"""Extensions that go with a locked package."""

_SHARED_MEMORY = "--shm-size=8g"
"""Workers that load data for a GPU pass it in shared memory, of which containers have 64 MB by default."""

_AMD = (
    "--device=/dev/kfd",
    "--device=/dev/dri",
    "--group-add=video",
    "--security-opt=seccomp=unconfined",
)
"""How AMD's ROCm documentation starts containers: the devices are passed by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """The image a dev container starts from."""

    reference: str
    """``repository@sha256:…`` of a pushed image, or the name it has once built here."""

    is_local: bool


def configuration_of(
    lock: Lock,
    target: Target,
    wishes: DevContainerTable,
    *,
    image: ImageChoice,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the configuration as JSON values, without the record of what was written.

    ``variables`` are set in the container besides the image's own.
    """
    variants = {item.variant for item in lock.targets}
    name = lock.request.name
    start = (
        {"build": {"dockerfile": DOCKERFILE}} if is_editable(target, wishes) else {"image": image.reference}
    )
    document: dict[str, Any] = {
        "name": f"{name} ({target.variant})" if len(variants) > 1 else name,
        **start,
    }
    if image.is_local:
        document["initializeCommand"] = {"envbuild": _build_command(lock, target)}
    if target.workdir != "/":
        document["workspaceFolder"] = target.workdir
        document["workspaceMount"] = f"source=${{localWorkspaceFolder}},target={target.workdir},type=bind"
    document["remoteUser"] = target.user.name
    if variables:
        document["containerEnv"] = dict(sorted(variables.items()))
    document |= _gpu(target, wishes)
    document["mounts"] = [f"source={name}-cache,target={home_of(target)}/.cache,type=volume"]
    if wishes.features:
        document["features"] = {
            feature: dict(options) for feature, options in sorted(wishes.features.items())
        }
    document["postCreateCommand"] = {"envbuild": _probe_command(lock, target, wishes)}
    document["customizations"] = {
        "vscode": {
            "extensions": _extensions(lock, target, wishes),
            "settings": {"python.defaultInterpreterPath": f"{target.prefix}/bin/python"},
        }
    }
    return document


def is_editable(target: Target, wishes: DevContainerTable) -> bool:
    """Return whether installed packages can be edited in the container."""
    return target.user.uid == 0 if wishes.editable is None else wishes.editable


def home_of(target: Target) -> str:
    """Return the home of the image's user, as the recipe makes it."""
    return "/root" if target.user.uid == 0 else f"/home/{target.user.name}"


def _build_command(lock: Lock, target: Target) -> list[str]:
    """Return what makes the image on the host first; it does nothing when the image is there."""
    # the one engine that dev containers run on, whatever the spec or the machine prefers
    command = ["envbuild", "build", "--engine=docker"]
    if len({item.variant for item in lock.targets}) > 1:
        command.append(f"--variant={target.variant}")
    if len({item.platform for item in lock.targets}) > 1:
        command.append(f"--platform={target.platform}")
    return command


def _probe_command(lock: Lock, target: Target, wishes: DevContainerTable) -> list[str]:
    """Return what compares the container with its lock, with nothing but what is in the image.

    The digest is in it so that a container of another lock is told from one of this lock.
    """
    return [
        target.interpreter.path,
        "-I", "-S", "-B",
        IMAGE_PROBE,
        "check",
        "--profile=devcontainer",
        f"--target={target_digest(lock, target)}",
        *(("--require-gpu",) if wishes.gpu == "required" else ()),
    ]  # fmt: skip


def _gpu(target: Target, wishes: DevContainerTable) -> dict[str, Any]:
    """Return what a GPU takes.

    The dev container CLI passes NVIDIA's GPUs itself, as ``hostRequirements`` says; AMD's are devices.
    """
    wanted = wishes.gpu or ("optional" if target.gpu else "none")
    if wanted == "none":
        return {}
    is_amd = target.gpu is not None and target.gpu.vendor == "amd"
    return {
        "hostRequirements": {"gpu": True if wanted == "required" else "optional"},
        "runArgs": [*(_AMD if is_amd else ()), _SHARED_MEMORY],
    }


def _extensions(lock: Lock, target: Target, wishes: DevContainerTable) -> list[str]:
    locked = {wheel.name for wheel in lock.wheels_of(target)}
    locked |= {package.name for package in lock.conda_of(target)}
    found = ["ms-python.python", *(_EXTENSIONS[name] for name in sorted(_EXTENSIONS) if name in locked)]
    return list(dict.fromkeys((*found, *wishes.extensions)))
