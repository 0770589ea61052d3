"""Options of `envbuild verify`."""

from dataclasses import dataclass
from typing import Literal, get_args

from envbuild.errors import UsageError
from envbuild.workflows.engines import ENGINES, EngineName
from envbuild.workflows.options import refuse_other

Profile = Literal["image", "devcontainer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """Options of a verification.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    image: str | None = None
    """Another image than the lock's own: a reference, or with ``deep`` or ``exact`` also ``oci:FOLDER``,
    ``archive:FILE`` and ``registry:REFERENCE``, which are read where they lie."""

    deep: bool = False
    """Read every file from outside and compare it; then ask the image."""

    exact: bool = False
    """The image must be what the lock makes, by its digest or by every file and its configuration."""

    require_complete: bool = False
    """A path that nothing could be compared with is a difference."""

    use_cache: bool = True
    """False: read every layer of the image again, and assemble the reference again."""

    host: bool = False
    """Verify this machine, without a container: processor, driver and GPUs."""

    gpus: str = "auto"
    """GPUs for the container: ``auto``, ``all``, ``none``, a number, ``device=0,1``."""

    require_gpu: bool = False
    """A missing GPU is a difference; else its checks are skipped."""

    profile: Profile = "image"
    """How strict: a dev container may hold more than the lock."""

    variant: str | None = None
    platform: str | None = None
    engine: EngineName | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)
        refuse_other("profile", self.profile, get_args(Profile))
        outside = self.deep or self.exact
        if self.host and (self.image or outside):
            raise UsageError(
                "--host takes no image, no --deep and no --exact", hint="there is no container to look into"
            )
        if self.require_complete and not outside:
            raise UsageError(
                "--require-complete needs --deep or --exact", hint="without them no files are compared"
            )
        if not self.use_cache and not outside:
            raise UsageError("--no-cache needs --deep or --exact", hint="without them no files are read")
        if self.require_gpu and self.exact and not self.deep:
            raise UsageError("--require-gpu needs an answer of the image", hint="add --deep to --exact")
        if self.exact and self.profile != "image":
            raise UsageError(
                "a dev container holds more than the lock: --exact is not for --profile devcontainer",
                hint="leave one of the two out; --deep compares its files",
            )
