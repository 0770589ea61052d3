"""What follows from what was resolved: the environment of an image, and the account it runs as."""

from collections.abc import Iterable, Mapping, Sequence

from envbuild.errors import SpecError
from envbuild.lock.conda import CONDA_PREFIX, CondaPackage
from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import PREFIX, Base, User
from envbuild.platforms import DEFAULT_PATH
from envbuild.resolve.conda.activation import expand_value
from envbuild.resolve.gpu.facts import gpu_environment
from envbuild.spec.request import VariantRequest

FIRST_UID = 1000
LAST_UID = 59_999
"""Range of ordinary accounts (Debian Policy 9.2.2)."""


def compose_env(
    request: VariantRequest, base: Base, gpu: TargetGpu | None = None, *, conda: Iterable[CondaPackage] = ()
) -> dict[str, str]:
    """Return the whole environment of an image, by name.

    The base's, the prefix's, the GPU's, the seed's and the spec's, each laid over those before it.  With
    ``conda`` packages the prefix's is what activating them sets, in the order of their names.  What the spec
    prepends stands before the base's own value; before it on ``PATH`` is the environment's own folder alone,
    so that its programs stay the locked ones.
    """
    base = base.model_copy(update={"env": _prepended(base.env, request.image.prepend)})
    path = base.env.get("PATH", DEFAULT_PATH)
    packages = sorted(conda, key=lambda package: package.name)
    if packages:
        env = dict(base.env) | {"PATH": f"{CONDA_PREFIX}/bin:{path}", "CONDA_PREFIX": CONDA_PREFIX}
        for package in packages:
            env |= {name: expand_value(value, env) for name, value in package.env.items()}
    else:
        env = dict(base.env) | {"PATH": f"{PREFIX}/bin:{path}", "VIRTUAL_ENV": PREFIX}
    if request.gpu is not None and gpu is not None:
        env |= gpu_environment(request.gpu, gpu, base.env)
    if request.seed is not None:
        # PYTHONHASHSEED: docs.python.org, "Command line and environment"; fixes the order of sets of strings.
        # CUBLAS_WORKSPACE_CONFIG: cuBLAS documentation 2.1.4, "Results reproducibility".
        env |= {"PYTHONHASHSEED": str(request.seed), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return dict(sorted((env | request.image.env).items()))


def _prepended(env: Mapping[str, str], folders: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the base's variables with what stands before their own values."""
    own = {"PATH": DEFAULT_PATH, **env}
    return dict(env) | {
        name: ":".join((*before, own[name]) if own.get(name) else before) for name, before in folders.items()
    }


def choose_user(name: str, base: Base) -> User:
    """Return the account the image runs as: the base's own of that name, else the first free ordinary one.

    :raises SpecError: the name is a uid, which nothing in the image would have a name for.
    """
    if name.isdigit():
        raise SpecError.at("image.user", "must be a name", "the lock gives it a fixed uid")
    if name in base.users:
        uid, _, gid = base.users[name].partition(":")
        return User(name=name, uid=int(uid), gid=int(gid))
    if name == "root":
        return User(name=name, uid=0, gid=0)
    taken = {int(number) for pair in base.users.values() for number in pair.split(":")}
    free = next(number for number in range(FIRST_UID, LAST_UID + 1) if number not in taken)
    return User(name=name, uid=free, gid=free)
