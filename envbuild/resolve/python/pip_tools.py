"""pip-tools as a resolver: pip's own decisions, for the machine envbuild runs on."""

import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from envbuild import process
from envbuild.errors import EnvbuildError, NoSolutionError, Problem, SpecError
from envbuild.remote.index.configuration import ClientConfiguration
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
from envbuild.resolve.python.target import differences_from_host

FIELD = "pip.resolver"
UV_HINT = 'use resolver = "uv", which resolves for any platform from any machine'

_KNOWS_UPLOAD_TIMES = Version("26.0")
"""First pip with ``--uploaded-prior-to`` (its changelog, 26.0)."""

_INPUT = "requirements.in"
_LINE_OF_INPUT = re.compile(rf"-r {re.escape(_INPUT)} \(line (\d+)\)")
_NO_SOLUTION = re.compile(r"DistributionNotFound|ResolutionImpossible|No matching distribution found")
_LOOKING_AT = re.compile(
    r"\s*(?:Collecting ([A-Za-z0-9][\w.-]*)|Obtaining dependency information from (\S+) (\S+))"
)


class PipToolsResolver:
    """Runs ``pip-compile`` with the Python envbuild runs on."""

    name = "pip-tools"

    def __init__(
        self,
        configuration: ClientConfiguration,
        *,
        environment: Mapping[str, str] = os.environ,
        python: Path | None = None,
    ) -> None:
        """Run ``python -m piptools``, by default the running Python's."""
        self._configuration = configuration
        self._environment = environment
        self._python = python or Path(sys.executable)

    def tools(self) -> dict[str, str]:
        """Return the versions of pip-tools and of the pip it drives."""
        return {name: importlib.metadata.version(name) for name in ("pip", "pip-tools")}

    def resolve(self, question: Question, *, on_candidate: OnCandidate = lambda *_: None) -> tuple[Pin, ...]:
        """Return what satisfies the question; see :class:`PythonResolver`."""
        problems = tuple(self._obstacles(question))
        if problems:
            raise SpecError("pip-tools cannot resolve this target", hint=UV_HINT, problems=problems)

        def on_line(line: str) -> None:
            match = _LOOKING_AT.match(line)
            if match:
                on_candidate(canonicalize_name(match[1] or match[2]), match[3])

        with tempfile.TemporaryDirectory(prefix="envbuild-pip-") as name:
            folder = Path(name)
            answer = folder / "answer.txt"
            if question.preferred and not question.upgrade.everything:
                write_lines(answer, pins_as_lines(question.preferred))
            result = process.run(
                self._arguments(question, folder, answer),
                environment=self._process_environment(question),
                folder=folder,
                # where pip tells its progress; standard error has its errors
                on_stdout_line=on_line,
            )
            if result.succeeded:
                return parse_pins(answer.read_text(encoding="utf-8"))
        said = without_secrets(_what_matters(result.stdout, result.stderr, question), question)
        if _NO_SOLUTION.search(result.stderr):
            raise NoSolutionError("pip found no solution", detail=said)
        raise EnvbuildError(f"pip-tools failed with exit status {result.exit_status}", detail=said)

    def _obstacles(self, question: Question) -> list[Problem]:
        found = []
        differences = differences_from_host(question.target)
        if differences:
            found.append(
                f"pip-tools resolves for the Python it runs on, and {' and '.join(differences)}; "
                f"the target is {question.target}"
            )
        if question.indexes:
            found.append("pip-tools cannot bind packages to named indexes, as [pip] sources asks")
        pip = importlib.metadata.version("pip")
        if question.snapshot and Version(pip) < _KNOWS_UPLOAD_TIMES:
            found.append(f"pip {pip} cannot keep to a snapshot; pip {_KNOWS_UPLOAD_TIMES} can")
        return [Problem(FIELD, text, UV_HINT) for text in found]

    def _arguments(self, question: Question, folder: Path, answer: Path) -> list[str | Path]:
        # fast-deps reads metadata by ranges; without it pip fetches every wheel it considers
        write_lines(folder / _INPUT, _input(question, folder))
        pip_arguments = ["--only-binary=:all:", "--use-feature=fast-deps"]
        if question.snapshot:
            moment = end_of_snapshot(question.snapshot)
            pip_arguments.append(f"--uploaded-prior-to={moment:%Y-%m-%dT%H:%M:%SZ}")
        arguments: list[str | Path] = [
            self._python,
            "-m",
            "piptools",
            "compile",
            _INPUT,
            "--no-config",
            "--verbose",
            # setuptools and pip count like any other package
            "--allow-unsafe",
            "--strip-extras",
            "--no-header",
            "--no-annotate",
            "--no-emit-index-url",
            "--no-emit-trusted-host",
            "--no-emit-options",
            "--resolver=backtracking",
            f"--output-file={answer}",
            f"--pip-args={' '.join(pip_arguments)}",
        ]
        if question.constraints:
            constraints = write_lines(folder / "constraints.txt", question.constraints)
            arguments.append(f"--constraint={constraints}")
        return [*arguments, *upgrade_options(question.upgrade)]

    def _process_environment(self, question: Question) -> dict[str, str]:
        environment = process_environment(self._environment, self._configuration)
        if question.default:
            environment["PIP_INDEX_URL"] = question.default.url_with_credentials
        if question.pages:
            # whatever pip takes from them that is not bound is not found on its own index afterwards
            environment["PIP_FIND_LINKS"] = " ".join(page.url_with_credentials for page in question.pages)
        return environment | {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PYTHONUNBUFFERED": "1",
        }


def _input(question: Question, folder: Path) -> list[str]:
    """Return the requirements, addresses as those of stand-ins: pip takes none in constraints."""
    lines = (line.partition(" @ ") for line in stand_ins(question.placed, folder / "placed"))
    addresses = {name: address for name, _, address in lines}
    found = []
    for text in question.requirements:
        requirement = Requirement(text)
        requirement.url = addresses.get(canonicalize_name(requirement.name))
        requirement.specifier = SpecifierSet() if requirement.url else requirement.specifier
        found.append(str(requirement) if requirement.url else text)
    return found


def _what_matters(stdout: str, stderr: str, question: Question) -> str:
    """Return pip's errors and its account of a conflict; not its traceback, not the lines of our own file."""
    errors, _, _ = stderr.partition("Traceback (most recent call last)")
    _, heading, account = stdout.partition("The conflict is caused by:")
    account, _, _ = account.partition("To fix this you could try")
    # what is asked for is named by its line in a file nobody else sees
    return _LINE_OF_INPUT.sub(
        lambda match: question.requirements[int(match[1]) - 1], f"{errors}{heading}{account}" or stderr
    )
