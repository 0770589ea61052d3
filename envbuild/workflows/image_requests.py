"""What engines are asked to build, with what this machine has: no more than that."""

from typing import TYPE_CHECKING, Literal

from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from envbuild.image.engine import BuildRequest, BuiltImage, Engine
    from envbuild.lock.model import Lock, Target

Compression = Literal["zstd", "gzip"]


def image_request(
    lock: "Lock",
    target: "Target",
    machine: Machine,
    *,
    use_cache: bool = True,
    any_engine: bool = False,
    compression: Compression = "zstd",
) -> "BuildRequest":
    """Return a target as engines are asked to build it: this machine's artifacts, this release's probe."""
    from envbuild.image.engine import BuildRequest

    def probe() -> bytes:
        from envbuild.verify.probe_bundle import build_probe

        return build_probe()

    return BuildRequest(
        lock=lock,
        target=target,
        artifacts=machine.artifacts(lock, target),
        probe=probe,
        use_cache=use_cache,
        any_engine=any_engine,
        compression=compression,
    )


def held_or_built(
    request: "BuildRequest",
    engine: "Engine",
    machine: Machine,
    *,
    check: bool = False,
    prepare: "Callable[[], None]" = lambda: None,
) -> "BuiltImage":
    """Return the image of a target, built when ``engine`` does not hold it or nothing may be reused.

    ``check`` says that the image will be built once more, which needs the same privileges.
    ``prepare`` is called before the image is built.
    """
    found = engine.find_target(request) if request.use_cache else None
    if found is None or check:
        engine.require_privileges(machine.restart_as_root)
    if found is None and request.use_cache:
        _note_earlier(request, engine, machine)
    if found is None:
        prepare()
    return found or engine.build(request)


def _note_earlier(request: "BuildRequest", engine: "Engine", machine: Machine) -> None:
    """Say that the engine holds the image of an earlier release, where that is why it is built now."""
    from envbuild.image.built_image import earlier_images, held_image

    if held_image(request.lock, request.target, engine) is not None:
        return
    for earlier in earlier_images(request.lock, request.target, engine):
        machine.progress.on_note(f"{earlier.reference} is in an older recipe format; building it again")
