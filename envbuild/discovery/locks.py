"""Locks of other tools that belong to what was taken: their versions are kept."""

from collections.abc import Iterator, Mapping
from typing import Any

from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.discovery.index_names import bind_indexes
from envbuild.discovery.project_folder import ProjectFolder
from envbuild.files.sizes import counted
from envbuild.platforms import PlatformName
from envbuild.spec.foreign.pins import ForeignLock, decide
from envbuild.spec.foreign.read import read_foreign_lock
from envbuild.spec.foreign.target_markers import targets_of
from envbuild.spec.foreign.uv_lock import conflict_extras

_LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "pylock.*.toml",
    "requirements.lock",
)
_PLATFORMS: tuple[PlatformName, ...] = ("linux/amd64",)


class LockOfFolder:
    """The lock of another tool that a folder has."""

    def __init__(self, folder: ProjectFolder, file: str | None = None) -> None:
        self.file: str | None = None
        self.lock = ForeignLock()
        self.content = FileContent()
        files = (
            [file]
            if file is not None
            else [name for name in folder.find(*_LOCKS) if name not in folder.taken]
        )
        for name in files:
            text = folder.read(name)
            if text is None:
                continue
            folder.taken.add(name)
            if self.file is not None:
                self.content.leave(name, f"not taken beside {self.file}")
                continue
            self._add(name, read_foreign_lock(text, name))

    def _add(self, file: str, lock: ForeignLock) -> None:
        self.content.pythons += [
            PythonEvidence(text, file, is_range=is_range) for text, is_range in lock.pythons
        ]
        if lock.problems:
            self.content.left += lock.problems
            self.content.leave(file, "its versions are not taken", "make it anew, or export it")
        elif lock.pins:
            self.file, self.lock = file, lock

    def finish(self, tables: Mapping[str, Any], python: str) -> Iterator[FileContent]:
        """Yield what the lock gives beside what was taken: its pins, else what it was made for too."""
        if self.file is None:
            return
        pip = tables.get("pip", {})
        extras, groups = list(pip.get("extras", ())), list(pip.get("groups", ()))
        names = conflict_extras(self.lock.project or str(tables.get("name")), extras, groups)
        decided = decide(self.lock, targets_of(python, _PLATFORMS, names), self.file)
        content = FileContent()
        if decided.problems:
            content.left += decided.problems
            content.leave(
                self.file, "its versions are not taken", "make it anew for one Python, or export it"
            )
            yield content
            return
        has_requirements = any(
            pip.get(key) for key in ("project", "extras", "groups", "requirements", "packages")
        )
        if not has_requirements:
            roots = self.lock.roots or [*decided.constraints, *decided.addresses]
            content.add("pip", "packages", sorted(set(roots)))
        known = set(pip.get("sources", ()))
        own = {name: url for name, url in decided.indexes.items() if name not in known}
        if not bind_indexes(content, own, self.file, pip.get("indexes")):
            yield FileContent(left=content.left)
            return
        content.add("pip", "locks", [self.file])
        count = counted(len(decided.constraints) + len(decided.addresses), "version")
        content.taken.append(Taken(self.file, f"{count}, kept"))
        yield content
