"""Which Python an environment has: what its files say, in the order of how much they know."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch

from packaging.specifiers import SpecifierSet

from envbuild.catalog.bases import IMAGES
from envbuild.discovery.content import PythonEvidence, Taken
from envbuild.errors import Problem
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

USUAL_PYTHONS = ("3.12", "3.11", "3.13", "3.10", "3.14")
"""What is taken when several Pythons would do: the ones most packages have wheels for first."""

WheelsForPython = Callable[[str], bool | None]
"""Whether all pinned distributions have wheels for this Python; None: nobody can tell."""

_WITNESSES = (
    ".python-version",
    "runtime.txt",
    "environment.y*ml",
    "conda-lock.yml",
    "*.lock",
    "*requirement*.txt",
    "*.txt",
    "pylock*.toml",
    "Pipfile",
    "cog.yaml",
    "*ockerfile*",
    "*",
)
"""Who is believed first, by the name of the file."""

_OLDEST = 10
"""Minor release of the oldest supported Python."""

_OLD = r"3\.[0-9](\.|$)"
"""Pythons older than any that is supported."""

_SOFT = ("setup.py: classifiers", "setup.cfg: classifiers", "pyproject.toml: classifiers", "tox.ini*")
"""Witnesses of what is tested: they choose among what others allow, and contradict nobody."""


@dataclass(slots=True)
class PythonChoice:
    """The Python that was chosen, and why."""

    version: str
    taken: list[Taken] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)


def choose_python(
    evidence: Iterable[PythonEvidence], has_wheels: WheelsForPython | None = None
) -> PythonChoice:
    """Return the Python that ``evidence`` asks for, else the usual one that it and the wheels leave open."""
    witnesses = sorted(evidence, key=_rank)
    exact = [witness for witness in witnesses if not witness.is_range]
    ranges = [witness for witness in witnesses if witness.is_range]
    left: list[Problem] = []
    old: PythonEvidence | None = None
    for witness in exact:
        try:
            version = rules.python(witness.text)
        except RefusedError as error:
            left.append(error.at(witness.where))
            old = old or (witness if re.match(_OLD, witness.text) else None)
            continue
        choice = _named(witness, version, exact, ranges)
        choice.left[:0] = left
        return choice
    choice = _among(ranges, has_wheels, old)
    choice.left[:0] = left
    return choice


def _named(
    witness: PythonEvidence, version: str, exact: Sequence[PythonEvidence], ranges: Iterable[PythonEvidence]
) -> PythonChoice:
    choice = PythonChoice(version, [Taken(witness.where, f"Python {version}")])
    choice.left += [
        Problem(bound.where, f"`{bound.text}` does not allow Python {version}, which {witness.where} names")
        for bound in ranges
        if not _is_soft(bound) and not allows(bound.text, version)
    ]
    choice.left += [
        Problem(other.where, f"names Python {other.text}; {version}, which {witness.where} names, is taken")
        for other in exact
        if other is not witness and not _agree(other.text, version)
    ]
    return choice


def _among(
    ranges: Sequence[PythonEvidence], has_wheels: WheelsForPython | None, old: PythonEvidence | None
) -> PythonChoice:
    usual = [python for python in USUAL_PYTHONS if python in IMAGES]
    past = _made_for_old(ranges)
    if old or past:
        usual = list(IMAGES)  # the oldest first: what was made for an older one likely works with it
    bounds: list[PythonEvidence] = []
    choice = PythonChoice("")
    for bound in sorted(ranges, key=_is_soft):
        left = [python for python in usual if allows(bound.text, python)]
        if left:
            if left != usual or not _is_soft(bound):
                bounds.append(bound)
            usual = left
        elif not _is_soft(bound):
            others = "".join(f" and in `{other.text}` of {other.where}" for other in bounds)
            choice.left.append(Problem(bound.where, f"no supported Python is in `{bound.text}`{others}"))
    with_wheels = _first_with_wheels(usual, has_wheels) if has_wheels and len(usual) > 1 else []
    choice.version = (with_wheels or usual)[0]
    choice.taken += [
        Taken(bound.where, f"Python {choice.version}, which `{bound.text}` allows") for bound in bounds
    ]
    if with_wheels:
        choice.taken.append(Taken("the index", f"Python {choice.version}, which the pins have wheels for"))
    elif old and not bounds:
        choice.taken.append(Taken(old.where, f"Python {choice.version}, the nearest to {old.text}"))
    elif past and not bounds:
        choice.taken.append(Taken(past[0].where, f"Python {choice.version}, the nearest to {past[0].text}"))
    elif not bounds:
        choice.left.append(
            Problem("", f"no file says which Python: {choice.version} is taken", "or pass --python")
        )
    return choice


def _made_for_old(ranges: Sequence[PythonEvidence]) -> list[PythonEvidence]:
    """Return the ranges that end before the oldest supported Python, unless one of several tests is such."""
    past = [bound for bound in ranges if _is_of_the_past(bound)]
    is_one_of_several = len(past) < len(ranges)
    if is_one_of_several and all(_is_soft(bound) and not _is_of_readme(bound) for bound in past):
        return []
    return past


def _is_of_the_past(bound: PythonEvidence) -> bool:
    """Return whether a range ends before the oldest supported Python."""
    pythons = [f"3.{minor}" for minor in range(30)]
    allowed = [minor for minor, python in enumerate(pythons) if allows(bound.text, python)]
    return bool(allowed) and max(allowed) < _OLDEST


def _first_with_wheels(usual: Sequence[str], has_wheels: WheelsForPython) -> list[str]:
    for python in usual:
        answer = has_wheels(python)
        if answer is None:
            return []
        if answer:
            return [python]
    return []


def allows(bound: str, python: str) -> bool:
    """Return whether a bound, a project file's or conda's, allows a release; without a patch release, any."""
    # the bound may be of a patch release: `>=3.11.4`
    releases = [python] if python.count(".") > 1 else [f"{python}.{patch}" for patch in (0, 20)]
    try:
        choices = [
            SpecifierSet(",".join(map(_specifier, part.split(","))))
            for part in bound.replace("||", "|").split("|")
        ]
    except ValueError:
        return False
    return any(choice.contains(release) for choice in choices for release in releases)


def _specifier(text: str) -> str:
    """Return one condition as PEP 440 writes it; conda leaves `==` out before `3.11.*`."""
    plain = text.strip()
    return f"=={plain}" if plain[:1].isdigit() else plain


def _agree(text: str, version: str) -> bool:
    one, other = text.split("."), version.split(".")
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _rank(witness: PythonEvidence) -> int:
    name = re.split(r"[:/]", witness.where.partition(":")[0])[-1]
    return next(index for index, pattern in enumerate(_WITNESSES) if fnmatch(name, pattern))


def _is_soft(witness: PythonEvidence) -> bool:
    if _is_of_readme(witness):
        return True
    return any(fnmatch(witness.where, pattern) for pattern in _SOFT) or witness.where.startswith(
        (".github/workflows/", "noxfile.py")
    )


def _is_of_readme(witness: PythonEvidence) -> bool:
    """Return whether instructions for people say it."""
    return witness.where.partition(":")[0].endswith((".md", ".rst", "README", "README.txt"))
