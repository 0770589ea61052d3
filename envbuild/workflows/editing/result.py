"""What came of editing a spec."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envbuild.spec.edits.changes import SpecChange
from envbuild.workflows.diff import DiffResult
from envbuild.workflows.lock import LockResult
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EditResult", "SpecChange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """A spec that was edited, and what that did to its lock."""

    project: Project
    changes: tuple[SpecChange, ...]
    """What the spec asks for otherwise, in the order of the names."""

    files: tuple[str, ...] = ()
    """Files that were edited, relative to the folder of the spec."""

    notes: tuple[str, ...] = ()
    """What a person should know besides."""

    lock: LockResult | None = None
    """The lock that answers the spec now; None: it was not wanted."""

    difference: DiffResult | None = None
    """How the lock differs from the one that was there; None without a lock before or after."""

    dry_run: bool = False
    """Whether nothing was written."""

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "dry-run": self.dry_run,
            "changes": [
                {
                    "kind": change.kind,
                    "name": change.name,
                    "old": change.old,
                    "new": change.new,
                    "file": change.file,
                    "where": change.where,
                }
                for change in self.changes
            ],
            "files": list(self.files),
            "notes": list(self.notes),
            "lock": self.lock.document() if self.lock else None,
            "difference": self.difference.document() if self.difference else None,
        }

    def _repr_html_(self) -> str:
        from envbuild.workflows.html import table

        return table("changes of the spec", ("where", "before", "after"), self._rows())

    def _rows(self) -> "Iterator[tuple[str, str, str]]":
        for change in self.changes:
            yield change.where, change.old or "", change.new or ""
