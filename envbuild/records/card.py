"""The card of a run as Markdown: what it was, and how to run it again.  Pure: the same run, the same text."""

import shlex
from collections.abc import Iterator, Mapping

from envbuild.records.found import FoundRun
from envbuild.records.markdown import block, code, plain, table
from envbuild.records.model import RunRecord
from envbuild.records.redaction import redacted_text

MOST_ROWS = 100
"""Of each table."""


def card(run: FoundRun) -> str:
    """Return the card of a run, with an end of line."""
    sections = (
        _head(run),
        _section("Environment", table(("fact", "value"), _environment(run.record))),
        _section("Code", table(("fact", "value"), _code(run.record))),
        _section("Command", _command(run.record)),
        _section("Data", table(("name", "digest", "mounted at"), _data(run.record))),
        _section("Seeds and switches", table(("variable", "value"), _switches(run.record))),
        _section("Hardware", table(("fact", "value"), _hardware(run.record))),
        _section("Parameters", _values(run.parameters)),
        _section("Metrics", _values({name: f"{value:.10g}" for name, value in run.metrics.items()})),
        _section("Artifacts", _artifacts(run)),
        _section("Run it again", _again(run)),
        _section("For an appendix", [_appendix(run)]),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *lines] if lines else []


def _head(run: FoundRun) -> list[str]:
    title = run.name or run.record.name or run.source
    facts = [f"Recorded as {code(run.source)}"]
    if run.status:
        facts.append(f"status {plain(run.status)}")
    lines = [f"# Run {plain(title)}", "", f"{'; '.join(facts)}."]
    if run.missing:
        lines += ["", f"Not known to the tracker: {plain('; '.join(run.missing))}."]
    return lines


def _environment(record: RunRecord) -> Iterator[tuple[str, str]]:
    image, lock = record.image, record.lock
    yield from _rows(
        ("name", record.name),
        ("variant", record.variant),
        ("platform", record.platform),
        ("target", record.target),
        ("lock", f"sha256:{lock.sha256}" if lock else None),
        ("image", image.reference if image else None),
        ("image digest", image.digest if image else None),
        ("registry", image.repository if image else None),
        ("engine", image.engine if image else None),
    )


def _code(record: RunRecord) -> Iterator[tuple[str, str]]:
    git = record.git
    if git is None:
        return
    changes = {True: "yes: the code cannot be had exactly", False: "none", None: "not known"}
    yield from _rows(
        ("commit", git.commit),
        ("remote", redacted_text(git.remote) if git.remote else None),
        ("folder", git.folder),
    )
    yield "changes not committed", changes[git.dirty]


def _command(record: RunRecord) -> list[str]:
    if record.command is None:
        return ["Not recorded."]
    lines = block(shlex.join(record.command).split("\n"))
    if record.folder:
        lines += ["", f"In {code(record.folder)}, below the mounted folder."]
    if record.redacted:
        lines += ["", "`***` stands for what looked like a secret and was not recorded."]
    return lines


def _data(record: RunRecord) -> Iterator[tuple[str, ...]]:
    for data in record.data:
        yield plain(data.name), code(data.digest), code(data.target or "")


def _switches(record: RunRecord) -> Iterator[tuple[str, str]]:
    for name, value in sorted(record.variables.items()):
        yield code(name), code(value)
    for name in record.variable_names:
        yield code(name), "not recorded"


def _hardware(record: RunRecord) -> Iterator[tuple[str, str]]:
    counted: dict[str, int] = {}
    for gpu in record.gpus:
        counted[gpu] = counted.get(gpu, 0) + 1
    for gpu, number in counted.items():
        yield "GPU", f"{number} × {plain(gpu)}"
    yield from _rows(("driver", record.driver))
    for name, value in sorted((record.options.model_dump(by_alias=True) if record.options else {}).items()):
        if value is not None:
            yield f"option {name}", code(value)


def _rows(*facts: tuple[str, str | None]) -> Iterator[tuple[str, str]]:
    for name, value in facts:
        if value is not None:
            yield name, code(value)


def _values(values: Mapping[str, str]) -> list[str]:
    shown = sorted(values.items())[:MOST_ROWS]
    lines = table(("name", "value"), ((plain(name), code(value)) for name, value in shown))
    return lines + _more(len(values))


def _artifacts(run: FoundRun) -> list[str]:
    return [f"- {code(path)}" for path in run.artifacts[:MOST_ROWS]] + _more(len(run.artifacts))


def _more(number: int) -> list[str]:
    return ["", f"And {number - MOST_ROWS} more."] if number > MOST_ROWS else []


def _again(run: FoundRun) -> list[str]:
    words = ["envbuild", "run", "--from", run.source]
    for mount in run.record.mounts:
        words += ["--mount", f"SOURCE:{mount.target}{':ro' if mount.read_only else ''}"]
    for name in run.record.variable_names:
        words += ["--env", name]
    if run.record.redacted or run.record.command is None:
        words += ["--", "COMMAND"]
    return block([shlex.join(words)])


def _appendix(run: FoundRun) -> str:
    """Return one paragraph for a paper."""
    record = run.record
    image, git = record.image, record.git
    sentences = [
        f"The run {plain(run.name or run.source)} used the environment {plain(record.name or 'unknown')}"
    ]
    if record.target:
        sentences[0] += f" (envbuild target {code(record.target)}"
        sentences[0] += f", lock sha256 {code(record.lock.sha256)})" if record.lock else ")"
    if image and image.digest:
        sentences.append(
            f"Its image is {code(image.repository or image.reference or 'image')} at {code(image.digest)}"
        )
    if git:
        changed = " with changes that were not committed" if git.dirty else ""
        where = f" of {code(redacted_text(git.remote))}" if git.remote else ""
        sentences.append(f"The code is commit {code(git.commit)}{where}{changed}")
    if record.data:
        listed = ", ".join(f"{plain(data.name)} ({code(data.digest)})" for data in record.data)
        sentences.append(f"The data: {listed}")
    if record.variables:
        listed = ", ".join(code(f"{name}={value}") for name, value in sorted(record.variables.items()))
        sentences.append(f"Seeds and switches: {listed}")
    if record.gpus:
        driver = f" with driver {plain(record.driver)}" if record.driver else ""
        sentences.append(f"It ran on {len(record.gpus)} × {plain(record.gpus[0])}{driver}")
    return ". ".join(sentences) + "."
