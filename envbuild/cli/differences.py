"""A comparison as text for a terminal, Markdown for a pull request, and JSON for a program."""

from collections.abc import Iterator
from typing import Any

from envbuild.files.sizes import readable_size
from envbuild.lock.diff import KINDS, LockDiff, PackageChange, PackageVersion, TargetDiff

_NOUNS = {"wheel": "Python packages", "conda": "conda packages", "deb": "system packages"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def as_text(found: LockDiff) -> str:
    """Return the differences as aligned lines, targets with the same ones together."""
    blocks = [f"{variant} on {platform}: new" for variant, platform in found.added]
    blocks += [f"{variant} on {platform}: gone" for variant, platform in found.removed]
    blocks += ["\n".join(_text_of(group)) for group in _alike(found)]
    return "\n".join(blocks)


def _text_of(group: list[TargetDiff]) -> Iterator[str]:
    for target in group:
        yield (
            f"{target.variant} on {target.platform}: {target.old_tag} → {target.new_tag}, "
            f"files {_sizes(target)}"
        )
    rows = list(_rows(group[0]))
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


def as_markdown(found: LockDiff, *, old: str, new: str) -> str:
    """Return the differences for a pull request: a summary, then a folded table for each kind of package."""
    lines = [f"### Environment: {_code(old)} → {_code(new)}", ""]
    if not found.differs:
        return "\n".join([*lines, "The same images."])
    for verb, keys in (("New", found.added), ("Gone", found.removed)):
        lines += [f"- {verb}: {variant} on {platform}" for variant, platform in keys]
    for group in _alike(found):
        for target in group:
            lines.append(
                f"**{target.variant}** on {target.platform}: {_code(target.old_tag)} → "
                f"{_code(target.new_tag)}, files {_sizes(target)}"
            )
        lines += ["", *_markdown_of(group[0])]
    return "\n".join(lines).rstrip()


def _markdown_of(target: TargetDiff) -> Iterator[str]:
    lines = [f"- {fact.name}: {_arrow(fact.old, fact.new, code=True)}" for fact in target.facts]
    gained, lost = target.architectures_gained, target.architectures_lost
    if gained:
        lines.append(f"- architectures gained: {', '.join(map(_code, gained))}")
    if lost:
        lines.append(f"- architectures lost: {', '.join(map(_code, lost))}")
    yield from [*lines, ""] if lines else []
    for kind in KINDS:
        changes = [package for package in target.packages if package.kind == kind]
        if not changes:
            continue
        # system packages come in dozens, and follow from the rest
        opened = "" if kind == "deb" else " open"
        yield f"<details{opened}><summary>{_NOUNS[kind]}: {_counted(changes)}</summary>"
        yield from ("", "| | package | before | after |", "|---|---|---|---|")
        for change in changes:
            before, after = (_code(version) if version else "" for version in change.versions)
            yield f"| {_SIGNS[_verb(change)]} | {change.name} | {before} | {after} |"
        yield from ("", "</details>", "")


def as_document(found: LockDiff, *, old: str, new: str) -> dict[str, Any]:
    """Return the differences as plain JSON values."""
    return {
        "old": old,
        "new": new,
        "differs": found.differs,
        "added": [_named(key) for key in found.added],
        "removed": [_named(key) for key in found.removed],
        "targets": [
            {
                "variant": target.variant,
                "platform": target.platform,
                "differs": target.differs,
                "tag": {"old": target.old_tag, "new": target.new_tag},
                "size": {"old": target.old_size, "new": target.new_size},
                "facts": [{"name": fact.name, "old": fact.old, "new": fact.new} for fact in target.facts],
                "architectures": {
                    "gained": list(target.architectures_gained),
                    "lost": list(target.architectures_lost),
                },
                "packages": [
                    {
                        "kind": package.kind,
                        "name": package.name,
                        "change": _verb(package),
                        "old": _package(package.old),
                        "new": _package(package.new),
                    }
                    for package in target.packages
                ],
            }
            for target in found.targets
        ],
    }


def _alike(found: LockDiff) -> list[list[TargetDiff]]:
    """Return the targets that differ, those with the same changes together, in their order."""
    groups: dict[tuple[object, ...], list[TargetDiff]] = {}
    for target in found.targets:
        if target.differs:
            groups.setdefault(target.content, []).append(target)
    return list(groups.values())


def _arrow(old: str | None, new: str | None, *, code: bool = False) -> str:
    before, after = ((_code(text) if code else text) if text is not None else None for text in (old, new))
    if before is None:
        return f"+ {after}"
    return f"- {before}" if after is None else f"{before} → {after}"


def _verb(change: PackageChange) -> str:
    if change.old is None:
        return "added"
    return "removed" if change.new is None else "changed"


def _counted(changes: list[PackageChange]) -> str:
    verbs = [_verb(change) for change in changes]
    counts = ((verbs.count(verb), verb) for verb in ("added", "removed", "changed"))
    return ", ".join(f"{count} {verb}" for count, verb in counts if count)


def _sizes(target: TargetDiff) -> str:
    before, after = readable_size(target.old_size), readable_size(target.new_size)
    return before if before == after else f"{before} → {after}"


def _package(package: PackageVersion | None) -> dict[str, Any] | None:
    if package is None:
        return None
    return {"version": package.version, "sha256": package.sha256, "size": package.size}


def _named(key: tuple[str, str]) -> dict[str, str]:
    return {"variant": key[0], "platform": key[1]}


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else text
