"""uv as a resolver: any platform and any Python from any machine."""

import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tomli_w
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envbuild import process
from envbuild.errors import EnvbuildError, NoSolutionError
from envbuild.remote.index.configuration import ClientConfiguration, IndexAddress
from envbuild.resolve.python.backend import (
    OnCandidate,
    Pin,
    Question,
    parse_pins,
    pins_as_lines,
    process_environment,
    upgrade_options,
    write_lines,
)
from envbuild.resolve.python.failure import without_secrets
from envbuild.resolve.python.files import end_of_snapshot
from envbuild.resolve.python.provided import stand_ins
from envbuild.resolve.python.target import TargetPython, libc_version

MANYLINUX_MINORS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""glibc 2.x versions that ``--python-platform`` knows; the next older one is asked for in between."""

LONGEST_ANSWER = 7 * 24 * 3600
"""Seconds that uv waits for what is served by this process, which builds within limits of its own."""

PROJECT = "your-request"
"""Name of the project uv resolves where packages are bound to indexes; its messages speak of it."""

_SELECTING = re.compile(r"DEBUG Selecting: ([A-Za-z0-9][\w.-]*)==(\S+)")
_SEARCHING = re.compile(r"DEBUG Searching for a compatible version of ([A-Za-z0-9][\w.-]*)")
_LOG = re.compile(r"(TRACE|DEBUG|INFO|WARN) ")
_NO_SOLUTION = re.compile(r"No solution found", re.IGNORECASE)


class UvResolver:
    """Runs ``uv pip compile``."""

    name = "uv"

    def __init__(
        self,
        configuration: ClientConfiguration,
        *,
        environment: Mapping[str, str] = os.environ,
        program: Path | None = None,
        on_loopback: bool = False,
    ) -> None:
        """Run ``program``, by default the uv that is installed beside envbuild.

        ``on_loopback`` says that the indexes are served by this process: no proxy is asked, and as their
        addresses are never the same again, nothing is cached.
        """
        self._configuration = configuration
        self._environment = environment
        self._program = program
        self._on_loopback = on_loopback

    def tools(self) -> dict[str, str]:
        """Return uv's version."""
        return {"uv": importlib.metadata.version("uv")}

    def resolve(
        self,
        question: Question,
        *,
        on_candidate: OnCandidate = lambda *_: None,
    ) -> tuple[Pin, ...]:
        """Return what satisfies the question; see :class:`PythonResolver`.

        uv applies a binding to an index only to what is asked for directly.  So whatever comes from an index
        of its own is asked for directly too, once it turns out to be needed, and the question is asked again.
        """
        roots = {canonicalize_name(Requirement(text).name) for text in question.requirements}
        preferred = {pin.name for pin in question.preferred}
        bound = set(question.sources)
        asked = bound & (roots | preferred)
        while True:
            try:
                pins = self._compile(question, asked - roots, on_candidate)
                needed = {pin.name for pin in pins}
            except NoSolutionError as error:
                needed = _mentioned(error.detail or "", bound)
                if needed <= asked:
                    raise
                pins = ()
            if needed & bound <= asked:
                return pins
            asked |= needed & bound

    def _compile(
        self, question: Question, also: set[NormalizedName], on_candidate: OnCandidate
    ) -> tuple[Pin, ...]:
        said: list[str] = []

        def on_line(line: str) -> None:
            if match := _SELECTING.match(line):
                on_candidate(canonicalize_name(match[1]), match[2])
            elif match := _SEARCHING.match(line):
                on_candidate(canonicalize_name(match[1]), None)
            elif not _LOG.match(line):
                said.append(line)

        with tempfile.TemporaryDirectory(prefix="envbuild-uv-") as name:
            folder = Path(name)
            answer = folder / "answer.txt"
            if question.preferred and not question.upgrade.everything:
                write_lines(answer, pins_as_lines(question.preferred))
            arguments = self._arguments(question, folder, answer, also)
            result = process.run(
                arguments,
                environment=self._process_environment(question),
                folder=folder,
                on_stderr_line=on_line,
            )
            if result.succeeded:
                return parse_pins(answer.read_text(encoding="utf-8"))
        text = without_secrets("\n".join(said), question)
        if _NO_SOLUTION.search(text):
            raise NoSolutionError("uv found no solution", detail=text)
        raise EnvbuildError(f"uv failed with exit status {result.exit_status}", detail=text)

    def _arguments(
        self, question: Question, folder: Path, answer: Path, also: set[NormalizedName]
    ) -> list[str | Path]:
        arguments: list[str | Path] = [
            self._program or _uv_program(),
            "pip",
            "compile",
            _input_file(question, folder, also),
            "--no-config",
            "--verbose",
            "--color=never",
            "--no-header",
            "--no-annotate",
            "--only-binary=:all:",
            f"--output-file={answer}",
            # uv would look for an interpreter of the target's version all over the machine
            f"--python={sys.executable}",
            f"--python-version={question.target.version}",
            f"--python-platform={uv_platform(question.target)}",
        ]
        there = (*question.provided, *question.placed)
        constraints = [*question.constraints, *stand_ins(there, folder / "provided")]
        if constraints:
            arguments.append(f"--constraints={write_lines(folder / 'constraints.txt', constraints)}")
        if question.snapshot:
            arguments.append(f"--exclude-newer={end_of_snapshot(question.snapshot):%Y-%m-%dT%H:%M:%SZ}")
        return [*arguments, *upgrade_options(question.upgrade)]

    def _process_environment(self, question: Question) -> dict[str, str]:
        environment = process_environment(self._environment, self._configuration)
        environment["UV_PYTHON_DOWNLOADS"] = "never"
        # on standard error, so that files can be looked up while uv is still at work
        environment["RUST_LOG"] = "uv_resolver=debug"
        if self._on_loopback:
            environment |= {"UV_NO_CACHE": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
            # an answer may need builds, one after the other
            environment["UV_HTTP_TIMEOUT"] = str(LONGEST_ANSWER)
        if question.default:
            environment["UV_DEFAULT_INDEX"] = question.default.url_with_credentials
        for index in (*question.indexes, *question.pages):
            if index.credentials:
                variable = re.sub(r"[^A-Z0-9]", "_", index.name.upper())
                environment[f"UV_INDEX_{variable}_USERNAME"] = index.credentials.username
                environment[f"UV_INDEX_{variable}_PASSWORD"] = index.credentials.password
        return environment


def uv_platform(target: TargetPython) -> str:
    """Return what uv calls the target's machine and C library: the newest it knows that is not too new."""
    machine = target.platform.machine
    if target.libc.family == "musl":
        return f"{machine}-unknown-linux-musl"
    _, minor = libc_version(target.libc.version)
    known = max((known for known in MANYLINUX_MINORS if known <= minor), default=MANYLINUX_MINORS[0])
    return f"{machine}-manylinux_2_{known}"


def _input_file(question: Question, folder: Path, also: set[NormalizedName]) -> Path:
    """Write what is asked: plain requirements, or a project when packages are bound to named indexes."""
    requirements = [*question.requirements, *sorted(also)]
    if not question.sources:
        return write_lines(folder / "requirements.in", requirements)
    project = {
        "project": {"name": PROJECT, "version": "0", "dependencies": requirements},
        "tool": {
            "uv": {
                "index": [
                    *(_index(index) for index in question.indexes),
                    *(_index(page) | {"format": "flat"} for page in question.pages),
                ],
                "sources": {name: {"index": index} for name, index in sorted(question.sources.items())},
            }
        },
    }
    path = folder / "pyproject.toml"
    path.write_text(tomli_w.dumps(project), encoding="utf-8")
    return path


def _index(address: IndexAddress) -> dict[str, object]:
    return {"name": address.name, "url": address.url, "explicit": True}


def _mentioned(text: str, names: set[NormalizedName]) -> set[NormalizedName]:
    words = {canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", text)}
    return words & names


def _uv_program() -> Path:
    from uv import find_uv_bin  # noqa: PLC0415 - the package is only this function and the binary

    try:
        return Path(find_uv_bin())
    except FileNotFoundError as error:
        raise process.ProgramMissingError("uv") from error
