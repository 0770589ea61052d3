"""A machine is asked, without a container, whether it can run what is locked: processor, driver, GPUs."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from envbuild import process
from envbuild.errors import VerificationError
from envbuild.formats.json_text import parse_json
from envbuild.lock.identity import digest_of
from envbuild.verify.checks.evaluate import evaluate
from envbuild.verify.checks.facts import Facts, read_facts
from envbuild.verify.checks.plan import plan_host_checks
from envbuild.verify.checks.report import Report
from envbuild.verify.checks.target import read_target
from envbuild.verify.probe_bundle import build_probe, facts_arguments, probe_arguments

_PATIENCE = 300.0
"""Seconds: many GPUs without NVIDIA's persistence daemon take their time to wake."""

_NOWHERE = "/nonexistent"


def verify_host(
    projection: Mapping[str, Any],
    *,
    require_gpu: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Report:
    """Compare this machine with the target it should run, as a program with ``environment`` finds it.

    :raises VerificationError: this is no Linux, or the probe did not answer, so nothing is known.
    """
    target = read_target(projection, digest_of(projection))
    return evaluate(target, plan_host_checks(target), host_facts(environment), require_gpu=require_gpu)


def host_facts(environment: Mapping[str, str] = os.environ) -> Facts:
    """Ask this machine, in a process of its own: a broken driver's libraries take down who loads them.

    ``environment`` is that process' own: it says where libraries of drivers are looked for.

    :raises VerificationError: this is no Linux, or the probe did not answer.
    """
    if sys.platform != "linux":
        raise VerificationError(
            "only Linux can be asked about GPUs this way", hint="run it on the machine that has them"
        )
    arguments = facts_arguments(prefix=_NOWHERE, variables=(), gpu=True)
    result = process.run(
        probe_arguments(sys.executable, arguments),
        environment=environment,
        standard_input=build_probe(),
        timeout=_PATIENCE,
    )
    try:
        return read_facts(parse_json(result.stdout))
    except ValueError as error:
        raise VerificationError(
            "this machine's probe did not answer", detail=result.stderr[-2000:]
        ) from error
