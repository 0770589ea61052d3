"""An image is asked what it holds: the probe is sent into a fresh container, and its answer is compared.

This is testimony: the image's own interpreter answers.  :mod:`envbuild.verify.stored` is the other kind of
evidence, for which no process of the image runs.
"""

from dataclasses import replace
from typing import Final

from envbuild.errors import LimitExceededError, VerificationError
from envbuild.formats.json_text import parse_json
from envbuild.image.engine import ContainerRunner, RunLimits, RunRequest
from envbuild.verify.checks.evaluate import evaluate
from envbuild.verify.checks.facts import Facts, read_facts
from envbuild.verify.checks.plan import plan_checks
from envbuild.verify.checks.report import CheckResult, Profile
from envbuild.verify.checks.target import LockedTarget
from envbuild.verify.probe_bundle import build_probe, facts_arguments

PROBE_PATH: Final = "/tmp/envbuild-probe.pyz"  # noqa: S108 - inside a container nobody else is in
"""Where the probe is laid in the container: the one it is sent, never the one the image carries."""

STDERR_LINES: Final = 15

LIMITS: Final = RunLimits(seconds=120, memory=2 << 30, output=32 << 20, processes=4096)
"""Of a container that is asked.  An honest answer takes one or two seconds, 32 MiB and some 20 kB; drivers of
many GPUs take longer to wake, and their libraries take room."""

IMPORT_LIMITS: Final = RunLimits(seconds=900, memory=32 << 30, output=64 << 20, processes=16_384)
"""The same where frameworks are imported, which compile kernels and start threads for each core."""


def ask_image(
    engine: ContainerRunner,
    identifier: str,
    target: LockedTarget,
    *,
    profile: Profile = "image",
    imports: bool = False,
    require_gpu: bool = False,
) -> tuple[CheckResult, ...]:
    """Ask the image with the engine's ID ``identifier`` what it holds, and compare that with ``target``.

    With ``imports`` the locked frameworks that compute on GPUs are imported.  ``require_gpu`` makes a missing
    GPU a difference.

    :raises VerificationError: the probe could not be run, did not answer, or took too long or too much.
    """
    frameworks = target.frameworks if target.gpu is not None and imports else ()
    facts = _ask(engine, identifier, target, frameworks)
    if facts.gpu is not None:
        facts = replace(facts, gpu=replace(facts.gpu, withheld=engine.withheld))
    checks = plan_checks(target, imports=imports)
    return evaluate(target, checks, facts, profile=profile, require_gpu=require_gpu).results


def _ask(
    engine: ContainerRunner, identifier: str, target: LockedTarget, frameworks: tuple[str, ...]
) -> Facts:
    arguments = facts_arguments(
        prefix=target.prefix,
        variables=target.variables,
        gpu=target.gpu is not None,
        gpu_libraries=target.gpu_libraries,
        imports=frameworks,
    )
    request = RunRequest(
        image=identifier,
        command=(target.interpreter.path, "-I", "-S", "-B", PROBE_PATH, *arguments),
        files={PROBE_PATH: build_probe()},
        limits=IMPORT_LIMITS if frameworks else LIMITS,
    )
    try:
        outcome = engine.run(request)
    except LimitExceededError as error:
        raise VerificationError(f"the image did not answer: {error.message}", detail=error.detail) from error
    stderr = outcome.stderr.decode(errors="replace").splitlines()
    if outcome.exit_status != 0:
        raise VerificationError(
            f"the probe failed in the container with status {outcome.exit_status}",
            detail="\n".join(stderr[-STDERR_LINES:]),
            hint=f"the image must have the locked interpreter at {target.interpreter.path}",
        )
    try:
        return read_facts(parse_json(outcome.stdout))
    except ValueError as error:
        raise VerificationError("the probe's answer cannot be read", detail=str(error)[:500]) from error
