"""The result of `envbuild build`, as text for a terminal."""

from collections.abc import Iterator

from envbuild.workflows.build import BuildResult
from envbuild.workflows.sizes import readable_size


def lines_of(result: BuildResult) -> Iterator[str]:
    """Yield what was done, in lines."""
    if result.verdict:
        yield result.verdict
    state = "verified" if result.verified else "not verified"
    if result.built:
        yield f"built {result.reference}"
    elif result.digest and not result.pushed:
        yield f"{result.pinned} is in the registry, {state}; nothing to build"
    elif not result.digest:
        yield f"{result.reference} exists; nothing to do"
    if result.checked:
        yield f"reproducible: rebuilt with a different {', '.join(result.checked.varied)}"
    for output in result.outputs:
        yield f"wrote {output}"
    if result.loaded:
        sent = f"by {result.loaded.way}, {readable_size(result.loaded.size)}"
        has_it = "has it already" if result.loaded.way == "there" else f"was sent it {sent}"
        yield f"the docker engine {has_it}"
    if result.pushed and result.was_in_registry:
        yield f"{result.pinned} is in the registry already, {state}; nothing to push"
    elif result.pushed:
        yield f"pushed {result.reference}@{result.pushed}"


def notes_of(result: BuildResult) -> Iterator[str]:
    """Yield what to know of it, and what to do next."""
    if result.checked:
        yield from result.checked.notes
    if not result.held and not result.pushed:
        also = "" if result.verified else ", `envbuild build --verify` compares it with the lock"
        yield f"`envbuild pull` brings it into the engine{also}"


def summary_of(result: BuildResult) -> str:
    """Return what was done of one of several specs, in a line."""
    if result.was_in_registry:
        return f"{result.reference} was in the registry, {'' if result.verified else 'not '}verified"
    verb = "built" if result.built else "was there"
    return f"{result.reference} {verb}{', pushed' if result.pushed else ''}"
