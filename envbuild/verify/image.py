"""An image is asked what it holds: the probe is sent into a fresh container, and its answer is compared."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from envbuild.errors import VerificationError
from envbuild.formats.json_text import parse_json
from envbuild.image.engine import ContainerRunner, ImageFacts, RunRequest
from envbuild.render import labels
from envbuild.verify.checks.evaluate import evaluate
from envbuild.verify.checks.expected_files import ExpectedFiles
from envbuild.verify.checks.facts import Configuration, Facts, read_facts, with_deep
from envbuild.verify.checks.plan import plan_checks
from envbuild.verify.checks.report import Profile, Report
from envbuild.verify.checks.target import LockedTarget, read_target
from envbuild.verify.probe_bundle import build_probe, facts_arguments

PROBE_PATH = "/tmp/envbuild-probe.pyz"  # noqa: S108 - inside a container nobody else is in
"""Where the probe is laid in the container: the one it is sent, never the one the image carries."""

EVIDENCE_LINES = 15


def verify_image(
    engine: ContainerRunner,
    image: ImageFacts,
    projection: Mapping[str, Any],
    *,
    digest: str,
    profile: Profile = "image",
    expected: Callable[[LockedTarget], ExpectedFiles] | None = None,
    require_gpu: bool = False,
) -> Report:
    """Compare ``image`` with the target it should hold.

    ``expected`` gives the files of the locked artifacts; with it every file and all bytecode is compared too,
    and the locked frameworks are imported.  ``require_gpu`` makes a missing GPU a difference.

    :raises VerificationError: the probe could not be run or did not answer, so nothing is known.
    """
    target = read_target(projection)
    imports = target.frameworks if target.gpu and expected is not None else ()
    facts = _ask(engine, image, target, gpu=target.gpu is not None, imports=imports)
    if facts.gpu is not None:
        facts = replace(facts, gpu=replace(facts.gpu, withheld=engine.withheld))
    if expected is not None:
        # as root, to read everything; what the image's own user sees stays what was asked first.  And without
        # GPUs: NVIDIA's runtime writes links and its driver's files into a container that gets them
        facts = with_deep(facts, _ask(engine, image, target, user="0", deep=True, give_gpus=False))
    return evaluate(
        target,
        plan_checks(target, labels={labels.TARGET: digest}, deep=expected is not None),
        facts,
        profile=profile,
        configuration=configuration_of(image),
        expected=expected(target) if expected else None,
        require_gpu=require_gpu,
    )


def configuration_of(image: ImageFacts) -> Configuration:
    """Return what the engine says of an image in the words of the checks."""
    return Configuration(
        architecture=image.architecture,
        env=dict(variable.partition("=")[::2] for variable in image.env),
        user=image.user,
        workdir=image.workdir,
        command=image.command,
        entrypoint=image.entrypoint,
        labels=image.labels,
        diff_ids=image.diff_ids,
    )


def _ask(
    engine: ContainerRunner,
    image: ImageFacts,
    target: LockedTarget,
    *,
    user: str | None = None,
    deep: bool = False,
    gpu: bool = False,
    give_gpus: bool = True,
    imports: tuple[str, ...] = (),
) -> Facts:
    arguments = facts_arguments(
        prefix=target.prefix,
        variables=target.env,
        deep=deep,
        gpu=gpu,
        gpu_libraries=target.gpu_libraries if gpu else {},
        imports=imports,
    )
    outcome = engine.run(
        RunRequest(
            image=image.identifier,
            command=(target.interpreter.path, "-I", "-S", "-B", PROBE_PATH, *arguments),
            files={PROBE_PATH: build_probe()},
            user=user,
            gpus=give_gpus,
        )
    )
    stderr = outcome.stderr.decode(errors="replace").splitlines()
    if outcome.exit_status != 0:
        raise VerificationError(
            f"the probe failed in the container with status {outcome.exit_status}",
            detail="\n".join(stderr[-EVIDENCE_LINES:]),
            hint=f"the image must have the locked interpreter at {target.interpreter.path}",
        )
    try:
        return read_facts(parse_json(outcome.stdout))
    except ValueError as error:
        raise VerificationError("the probe's answer cannot be read", detail=str(error)) from error
