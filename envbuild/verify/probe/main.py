"""The probe's command line: the only place of this room that prints."""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from envbuild.verify.checks.codec import CodecError, encode
from envbuild.verify.checks.evaluate import evaluate
from envbuild.verify.checks.plan import plan_checks
from envbuild.verify.checks.report_text import render_json, render_text
from envbuild.verify.checks.target import FRAMEWORKS, read_target
from envbuild.verify.probe.gather import GpuQuestions, gather_facts
from envbuild.visible import visible

LOCK = "/etc/envbuild/lock.json"
DIFFERENCES = 8
USAGE = 2
"""Exit codes of differences and of what makes no sense, the same as envbuild's own (errors.py)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (OSError, CodecError, json.JSONDecodeError) as error:
        sys.stderr.write(f"error: {visible(str(error))}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="probe", description="Say what this container holds.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", type=Path, default=Path("/"), help="look into this folder instead of /")
    common.add_argument("--json", action="store_true", help="a JSON document (what `facts` always prints)")

    facts = commands.add_parser("facts", parents=[common], help="print all facts as JSON")
    facts.add_argument("--prefix", default="/opt/venv", help="the Python environment")
    facts.add_argument(
        "--env", action="append", default=[], metavar="NAME", help="report this variable's value"
    )
    facts.add_argument("--gpu", action="store_true", help="report drivers and GPUs")
    facts.add_argument(
        "--gpu-library",
        action="append",
        default=[],
        metavar="SONAME[=PATH]",
        help="report where it comes from, and what is at the path where it should be",
    )
    facts.add_argument(
        "--import",
        action="append",
        default=[],
        choices=FRAMEWORKS,
        dest="frameworks",
        help="import it, and let each GPU compute",
    )
    facts.set_defaults(run=_print_facts)

    check = commands.add_parser("check", parents=[common], help="compare with the lock in the image")
    check.add_argument("--lock", type=Path, help=f"another file than {LOCK}")
    check.add_argument(
        "--target", metavar="DIGEST", help="digest of the target that lock must be of: sha256:…"
    )
    check.add_argument("--profile", choices=("image", "devcontainer"), default="image")
    check.add_argument("--require-gpu", action="store_true", help="without a GPU that works, fail")
    check.set_defaults(run=_check)
    return parser


def _print_facts(options: argparse.Namespace) -> int:
    questions = GpuQuestions(libraries=_libraries(options.gpu_library), frameworks=tuple(options.frameworks))
    facts = gather_facts(
        prefix=options.prefix,
        variables=tuple(options.env),
        root=options.root,
        gpu=questions if options.gpu or questions != GpuQuestions() else None,
    )
    # ASCII, so that no locale can refuse a file name
    json.dump(encode(facts), sys.stdout, separators=(",", ":"), sort_keys=True)
    sys.stdout.write("\n")
    return 0


def _check(options: argparse.Namespace) -> int:
    lock: Path = options.lock or options.root / LOCK.lstrip("/")
    document = lock.read_bytes()
    digest = _target_digest(document)
    if options.target not in {None, digest}:
        sys.stderr.write(
            f"error: this container was made from another lock: its target is {digest}, "
            f"not {visible(options.target)}\n"
            "hint: build the image of the present lock and make the container anew\n"
        )
        return DIFFERENCES
    target = read_target(json.loads(document), digest)
    if options.require_gpu and target.gpu is None:
        sys.stderr.write(
            f"error: --require-gpu, but variant `{visible(target.variant)}` locks no GPU\n"
            "hint: use the image of another variant, or give the spec a [gpu] table\n"
        )
        return USAGE
    facts = gather_facts(
        prefix=target.prefix,
        variables=tuple(target.variables),
        root=options.root,
        gpu=GpuQuestions(libraries=target.gpu_libraries) if target.gpu else None,
    )
    report = evaluate(
        target, plan_checks(target), facts, profile=options.profile, require_gpu=options.require_gpu
    )
    text = render_json(report) if options.json else render_text(report)
    sys.stdout.buffer.write(text.encode())
    return 0 if report.succeeded else DIFFERENCES


def _libraries(asked: Sequence[str]) -> dict[str, str | None]:
    return {soname: path or None for soname, _, path in (item.partition("=") for item in asked)}


def _target_digest(document: bytes) -> str:
    """Return the digest of the target an image's lock is of: that of its JSON, canonical as it lies there."""
    canonical = document.removesuffix(b"\n")
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"
