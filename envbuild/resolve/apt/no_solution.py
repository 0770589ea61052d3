"""Why apt could not do what was asked, in terms of what was asked."""

import difflib
from collections.abc import Iterable, Iterator, Mapping

from envbuild.errors import NoSolutionError, Problem
from envbuild.files.sizes import counted
from envbuild.formats.dpkg_status import InstalledPackage
from envbuild.process import ProcessResult
from envbuild.resolve.apt.client import AptSession
from envbuild.resolve.apt.failures import LINES_SHOWN, shortened
from envbuild.resolve.apt.output import (
    downgraded_packages,
    packages_without_candidate,
    packages_without_version,
    providers,
    removed_packages,
    unknown_packages,
    unmet_dependencies,
)
from envbuild.resolve.apt.requests import AskedPackages

NEAR_NAMES = 3
"""How many names an error offers for one that is unknown."""

LENGTH_DIFFERENCE = 3
_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz+-."


def no_solution(
    plan: ProcessResult,
    session: AptSession,
    asked: AskedPackages,
    present: Mapping[str, InstalledPackage],
) -> NoSolutionError:
    """Return why ``plan`` failed: names first, all at once, then what stands in the way of the rest."""
    problems = _name_problems(plan, session, asked)
    if problems:
        return unknown_error(session, problems)
    base = session.archives.name
    removed = sorted(set(removed_packages(plan.stdout)) & set(present))
    if removed:
        return NoSolutionError(
            f"these packages need others of {base} removed: {_listed(removed)}",
            hint="nothing of a base is removed: choose another base, or leave out what conflicts with it",
            detail=_asked_for(asked),
        )
    downgraded = sorted(downgraded_packages(plan.stdout))
    if downgraded:
        return NoSolutionError(
            f"these packages need older versions than {base} has: {_listed(downgraded)}",
            hint="choose a base that is not newer than the archives, or other versions",
            detail=_asked_for(asked),
        )
    unmet = unmet_dependencies(plan.stdout)
    if unmet:
        shown = unmet[:LINES_SHOWN]
        more = [f"… and {counted(len(unmet) - len(shown), 'more line')}"] if len(unmet) > len(shown) else []
        return NoSolutionError(
            f"the system packages cannot be installed together on {base}",
            hint="packages may conflict, or the base may be newer than the archives",
            detail="\n".join([*shown, *more]),
        )
    return NoSolutionError(
        f"apt finds no way to install the system packages on {base}", detail=shortened(plan.stderr)
    )


def _name_problems(plan: ProcessResult, session: AptSession, asked: AskedPackages) -> list[Problem]:
    """Return one problem for each request that apt could not even begin with."""
    unknown = unknown_packages(plan.stderr)
    versionless = packages_without_version(plan.stderr)
    nameless = packages_without_candidate(plan.stderr)
    choices = providers(plan.stdout)
    problems = []
    for request in asked.requests:
        name, where = request.name, asked.where(request.name)
        if name in unknown:
            problems.append(unknown_problem(session, asked, name))
        elif name in versionless:
            available = session.versions(name)
            if available:
                hint = f"the archives have {_listed(available)}"
                problems.append(Problem(where, f"`{name}` has no version {request.version}", hint))
            else:
                problems.append(unknown_problem(session, asked, name))
        elif name in nameless:
            some = choices.get(name, ())
            instead = f"name one of those that provide it: {_listed(some)}"
            problem = Problem(where, f"`{name}` is a virtual package", instead)
            problems.append(problem if some else unknown_problem(session, asked, name))
    # apt names a package it could not find without the sign it took for a modifier
    named = {request.name for request in asked.requests}
    stray = {name for name in unknown if name not in named}
    problems += [
        unknown_problem(session, asked, request.name)
        for request in asked.requests
        if request.name.rstrip("+") in stray
    ]
    return problems


def unknown_error(session: AptSession, problems: Iterable[Problem]) -> NoSolutionError:
    """Return the error that lists what the archives do not have."""
    left_out = session.archives.left_out
    return NoSolutionError(
        f"the archives of {session.archives.name} do not have every package",
        problems=problems,
        hint=f"not considered, for want of an archive of {session.archives.snapshot}: {_listed(left_out)}"
        if left_out
        else None,
    )


def unknown_problem(session: AptSession, asked: AskedPackages, name: str) -> Problem:
    """Return the problem of a name no archive has, with those near it."""
    near = near_names(name, session.names())
    hint = f"there is {_listed(near)}" if near else None
    return Problem(asked.where(name), f"there is no package `{name}`", hint)


def near_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names most like a mistyped one, best first."""
    known = set(names)
    slips = [slip for slip in dict.fromkeys(_slips(name)) if slip in known]
    longer = sorted((other for other in known if name in other), key=lambda other: (len(other), other))
    # difflib compares with each of 60,000 names; those of another length cannot be near
    similar = sorted(other for other in known if abs(len(other) - len(name)) <= LENGTH_DIFFERENCE)
    alike = difflib.get_close_matches(name, similar, n=NEAR_NAMES)
    return tuple(dict.fromkeys([*slips, *longer[:1], *alike]))[:NEAR_NAMES]


def _slips(name: str) -> Iterator[str]:
    """Yield what may have been meant: two characters exchanged, one too many, one too few, one wrong."""
    places = range(len(name) + 1)
    yield from (name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in places[:-2])
    yield from (name[:i] + name[i + 1 :] for i in places[:-1])
    yield from (name[:i] + character + name[i:] for i in reversed(places) for character in _CHARACTERS)
    yield from (name[:i] + character + name[i + 1 :] for i in places[:-1] for character in _CHARACTERS)


def _asked_for(asked: AskedPackages) -> str:
    return "asked for: " + ", ".join(map(str, asked.requests))


def _listed(names: Iterable[str]) -> str:
    words = [f"`{name}`" for name in names]
    return ", ".join(words[:LINES_SHOWN]) + (", …" if len(words) > LINES_SHOWN else "")
