"""A comparison of locks as text for a terminal, and as Markdown for a pull request.

In Markdown all that is not plain words is code: inside it nothing is a link, a mention, a picture or HTML.
No backslash would do, since the pages that show it look for mentions in what was rendered.
"""

import re
from collections.abc import Iterator

from envbuild.visible import visible
from envbuild.workflows.diff import DiffResult, PackageChange, TargetDiff, sizes_of

_NOUNS = {"wheel": "Python packages", "conda": "conda packages", "deb": "system packages"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}

_LONGEST = 500
"""Characters of one name or value."""

_PLAIN = re.compile(r"(?!.*(?i:www)\.)[A-Za-z0-9]+(?:(?: |[.+/-]+|_+)[A-Za-z0-9]+)*\+*")
"""Words that are nothing else in Markdown; an underscore inside a word is one."""


def as_text(found: DiffResult) -> str:
    """Return the differences as aligned lines, targets with the same ones together."""
    blocks = [visible(f"{variant} on {platform}: new") for variant, platform in found.changes.added]
    blocks += [visible(f"{variant} on {platform}: gone") for variant, platform in found.changes.removed]
    blocks += ["\n".join(_text_of(group)) for group in _alike(found)]
    return "\n".join(blocks)


def _text_of(group: list[TargetDiff]) -> Iterator[str]:
    for target in group:
        yield visible(
            f"{target.variant} on {target.platform}: {target.old_tag} → {target.new_tag}, "
            f"files {sizes_of(target)}"
        )
    rows = [tuple(visible(cell, limit=_LONGEST) for cell in row) for row in _rows(group[0])]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for kind, name, change in rows:
        yield f"  {kind.ljust(widths[0])}  {name.ljust(widths[1])}  {change}".rstrip()


def _rows(target: TargetDiff) -> Iterator[tuple[str, str, str]]:
    for fact in target.facts:
        yield "", fact.name, _arrow(fact.old, fact.new)
    gained = [f"+{name}" for name in target.architectures_gained]
    lost = [f"-{name}" for name in target.architectures_lost]
    if gained or lost:
        yield "", "architectures", " ".join([*gained, *lost])
    for package in target.packages:
        yield package.kind, package.name, _arrow(*package.versions)


def as_markdown(found: DiffResult) -> str:
    """Return the differences for a pull request: a summary, then a folded table for each kind of package."""
    lines = [f"### Environment: {_code(found.old)} → {_code(found.new)}", ""]
    if not found.differs:
        return "\n".join([*lines, "The same images."])
    for verb, keys in (("New", found.changes.added), ("Gone", found.changes.removed)):
        lines += [f"- {verb}: {_name(variant)} on {_name(platform)}" for variant, platform in keys]
    for group in _alike(found):
        for target in group:
            lines.append(
                f"**{_name(target.variant)}** on {_name(target.platform)}: {_code(target.old_tag)} → "
                f"{_code(target.new_tag)}, files {sizes_of(target)}"
            )
        lines += ["", *_markdown_of(group[0])]
    return "\n".join(lines).rstrip()


def _markdown_of(target: TargetDiff) -> Iterator[str]:
    lines = [f"- {_name(fact.name)}: {_arrow(fact.old, fact.new, code=True)}" for fact in target.facts]
    gained, lost = target.architectures_gained, target.architectures_lost
    if gained:
        lines.append(f"- architectures gained: {', '.join(map(_code, gained))}")
    if lost:
        lines.append(f"- architectures lost: {', '.join(map(_code, lost))}")
    yield from [*lines, ""] if lines else []
    for kind, noun in _NOUNS.items():
        changes = [package for package in target.packages if package.kind == kind]
        if not changes:
            continue
        # system packages come in dozens, and follow from the rest
        opened = "" if kind == "deb" else " open"
        yield f"<details{opened}><summary>{noun}: {_counted(changes)}</summary>"
        yield from ("", "| | package | before | after |", "|---|---|---|---|")
        for change in changes:
            before, after = (_cell(_code(version)) if version else "" for version in change.versions)
            yield f"| {_SIGNS[change.verb]} | {_cell(_name(change.name))} | {before} | {after} |"
        yield from ("", "</details>", "")


def _alike(found: DiffResult) -> list[list[TargetDiff]]:
    """Return the targets that differ, those with the same changes together, in their order."""
    groups: dict[tuple[object, ...], list[TargetDiff]] = {}
    for target in found.changes.targets:
        if target.differs:
            groups.setdefault(target.content, []).append(target)
    return list(groups.values())


def _arrow(old: str | None, new: str | None, *, code: bool = False) -> str:
    before, after = ((_code(text) if code else text) if text is not None else None for text in (old, new))
    if before is None:
        return f"+ {after}"
    return f"- {before}" if after is None else f"{before} → {after}"


def _counted(changes: list[PackageChange]) -> str:
    verbs = [change.verb for change in changes]
    counts = ((verbs.count(verb), verb) for verb in ("added", "removed", "changed"))
    return ", ".join(f"{count} {verb}" for count, verb in counts if count)


def _name(text: str) -> str:
    """Return ``text`` as it is where it means nothing else in Markdown, and as code otherwise."""
    return text if len(text) <= _LONGEST and _PLAIN.fullmatch(text) else _code(text)


def _code(text: str) -> str:
    """Return ``text`` as code: between more backticks than it has in a row."""
    shown = visible(text, limit=_LONGEST)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    # a space on both sides is taken off again
    is_bare = shown.strip(" ") and shown[0] not in "` " and shown[-1] not in "` "
    return f"{fence}{shown}{fence}" if is_bare else f"{fence} {shown} {fence}"


def _cell(markdown: str) -> str:
    """Return ``markdown`` for a table, whose cells end at each bar, in code too."""
    return markdown.replace("|", r"\x7c")
