"""conda packages of a prefix: what each record in its ``conda-meta`` says."""

import json
from pathlib import Path

from envbuild.verify.checks.facts import CondaFacts
from envbuild.verify.probe.roots import place, read_text


def conda_facts(prefix: str, root: Path) -> tuple[CondaFacts, ...]:
    """Describe the records below ``prefix``, sorted; one that cannot be read has no name but its file's."""
    folder = place(root, f"{prefix}/conda-meta")
    found = [_record(path, f"{prefix}/conda-meta/{path.name}") for path in sorted(folder.glob("*.json"))]
    return tuple(sorted(found, key=lambda record: (record.name, record.path)))


def _record(path: Path, shown: str) -> CondaFacts:
    try:
        document = json.loads(read_text(path) or "")
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}

    def text(key: str) -> str | None:
        value = document.get(key)
        return value if isinstance(value, str) else None

    return CondaFacts(
        name=text("name") or path.name.removesuffix(".json"),
        version=text("version"),
        build=text("build"),
        sha256=text("sha256"),
        path=shown,
    )
