"""An image that is known by its digest alone: where no lock of a recorded run is left."""

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from envbuild.errors import IntegrityError, RecordError, SpecError
from envbuild.workflows.containers.options import container_options, start_folder, variables
from envbuild.workflows.containers.run import PreparedRun
from envbuild.workflows.containers.terminal import on_terminal, passes_input
from envbuild.workflows.engines import choose_engine, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from envbuild.image.engine import Engine
    from envbuild.image.facts import ImageFacts
    from envbuild.image.gpus import GpuAccess
    from envbuild.records.model import RunRecord
    from envbuild.workflows.containers.options import RunOptions
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project
    from envbuild.workflows.runs.plan import RunPlan

_HINT: Final = "with the lock of the run it can be built again: give --into FOLDER, or check its commit out"


def prepare_by_digest(plan: "RunPlan", machine: "Machine") -> PreparedRun:
    """Return a run in the recorded image, which the engine holds or its registry has.

    Its target is what its label says: the image's own word, for there is no lock to compare with.

    :raises RecordError: neither has it, or there is nothing to mount the folder of a spec with.
    :raises IntegrityError: it says that it is another target than the recorded one.
    """
    from envbuild.image.copy_in import refuse_missing, tar_of
    from envbuild.image.engine import RunRequest

    options, record = plan.options, plan.record
    refuse_missing(options.copies)
    tty = on_terminal(options.tty)
    with ExitStack() as stack:
        engine = open_engine(
            choose_engine(options.engine, plan.project, machine.environment),
            machine,
            gpus=_gpus(record, options),
        )
        stack.enter_context(closing(engine))
        engine.require_privileges(machine.restart_as_root)
        reference, facts = _image(record, engine, machine)
        mounted_at = facts.workdir or "/"
        workdir, folder = _start(options, plan.project, mounted_at, record)
        container = container_options(options, folder, mounted_at, workdir, tty=tty)
        engine.require_options(container)
        archive = tar_of(options.copies, uid=0, gid=0, on_left_out=lambda _: None) if options.copies else None
        stack.pop_all()
    passed = variables(options, machine.environment, tty=tty)
    request = RunRequest(
        image=reference,
        command=plan.command,
        user=options.user,
        workdir=workdir,
        env={**passed, **_recorded(plan, passed)},
        archive=archive,
        stdin=passes_input(),
        options=container,
    )
    return PreparedRun(engine, request)


def _start(
    options: "RunOptions", project: "Project | None", mounted_at: str, record: "RunRecord"
) -> "tuple[str, Path | None]":
    if project is None:
        return options.workdir or mounted_at, None
    workdir, folder = start_folder(options, project, mounted_at)
    if folder is not None and options.workdir is None:
        workdir = str(PurePosixPath(mounted_at, record.folder or "."))
    return workdir, folder


def _gpus(record: "RunRecord", options: "RunOptions") -> "GpuAccess | None":
    from envbuild.image.gpus import AUTO, parse_gpus

    return parse_gpus(options.gpus, vendor="nvidia") if record.gpus or options.gpus != AUTO else None


def _image(record: "RunRecord", engine: "Engine", machine: "Machine") -> "tuple[str, ImageFacts]":
    image = record.image
    digest = image.digest if image else None
    if image is None or digest is None:
        raise RecordError("the image of the run was not recorded by digest")
    for reference in _names(image.repository, digest):
        facts = engine.find(reference)
        if facts is not None:
            _require_target(facts, record, reference)
            return reference, facts
    if image.repository is None or machine.offline:
        asked = "the engine has it not, and " + (
            "--offline asks nobody" if machine.offline else "no registry is known"
        )
        raise RecordError(f"the image {digest} cannot be had any more: {asked}", hint=_HINT)
    return _pulled(record, image.repository, digest, engine, machine)


def _names(repository: str | None, digest: str) -> "Iterator[str]":
    from envbuild.oci.reference import parse_reference

    yield digest
    if repository is None:
        return
    pinned = f"{repository}@{digest}"
    try:
        parse_reference(pinned)
    except SpecError as error:
        raise RecordError(f"`{repository}`, which the record names, is no repository of images") from error
    yield pinned


def _pulled(
    record: "RunRecord", repository: str, digest: str, engine: "Engine", machine: "Machine"
) -> "tuple[str, ImageFacts]":
    from envbuild import platforms
    from envbuild.image.registry_image import find_in_registry
    from envbuild.lock.identity import tag_of
    from envbuild.remote.registry.transport import PATIENT
    from envbuild.render.labels import TARGET
    from envbuild.workflows.images.registry import registry_client

    named = [platform for name, platform in platforms.PLATFORMS.items() if name == record.platform]
    platform = named[0] if named else platforms.host()
    if platform is None:
        raise RecordError("the platform of the run is not known")
    found = find_in_registry(f"{repository}@{digest}", platform, registry_client(machine, PATIENT))
    if found is None:
        raise RecordError(
            f"the image {digest} cannot be had any more: neither the engine nor {repository} has it",
            hint=_HINT,
        )
    _require_target(found.facts, record, found.pinned)
    # under the name that envbuild gives this target, and never one that the record chose
    reference = f"{repository}:{tag_of(found.facts.labels[TARGET])}"
    facts = engine.pull(replace(found, reference=reference))
    _require_target(facts, record, reference)
    return reference, facts


def _require_target(facts: "ImageFacts", record: "RunRecord", reference: str) -> None:
    from envbuild.oci.manifest import is_digest
    from envbuild.render.labels import TARGET

    target = facts.labels.get(TARGET, "")
    if not is_digest(target):
        raise IntegrityError(f"{reference} does not say that envbuild built it", hint=_HINT)
    if record.target is not None and target != record.target:
        raise IntegrityError(
            f"the record lies: its image {reference} says that it is target {target}",
            detail=f"recorded: {record.target}",
            hint=_HINT,
        )


def _recorded(plan: "RunPlan", passed: "Mapping[str, str]") -> dict[str, str]:
    """Return what the container is told: what was recorded of the run, and that this one repeats it.

    Variables of trackers that the caller ``passed`` are left alone.
    """
    from envbuild.records.redaction import redacted
    from envbuild.records.variables import variables_of

    if not plan.options.record:
        return {}
    words, hidden = redacted(plan.command)
    kept = ("version", "name", "variant", "platform", "target", "tag", "format", "image")
    document = {key: value for key, value in plan.record.document().items() if key in kept}
    document |= {"command": list(words), "again": {"source": plan.found.public_source}}
    return variables_of(document | ({"redacted": True} if hidden else {}), taken=passed)
