"""Outputs of a run by digest: a document that says what came out, and manifests beside it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from envbuild.errors import EnvbuildError, UsageError
from envbuild.records.variables import RUN
from envbuild.workflows.machine import Machine

LARGEST_RECORD: Final = 1 << 20
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSnapshot:
    """What a run left, by digest."""

    outputs: tuple[dict[str, Any], ...]
    """Path, digest, size and number of files of each, sorted by path."""

    run: dict[str, Any] | None
    """The record of the run; None: nobody gave one."""

    manifests: dict[str, bytes]
    """By the name of their file."""

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values: the same outputs of the same run give the same text."""
        run = {} if self.run is None else {"run": self.run}
        return {"version": FORMAT, "outputs": list(self.outputs), **run}

    def save(self, file: Path) -> None:
        """Write the document to ``file``, and the manifests into the folder beside it, before it.

        :raises OSError: it cannot be written.
        """
        from envbuild.files import atomic

        for name, content in sorted(self.manifests.items()):
            atomic.write_bytes(manifest_folder(file) / name, content)
        text = json.dumps(self.document(), indent=2, sort_keys=True, ensure_ascii=False)
        atomic.write_text(file, text + "\n")


def manifest_folder(file: Path) -> Path:
    """Return where the manifests of the snapshot ``file`` lie: ``outputs.json`` has ``outputs.data``."""
    return file.with_suffix(".data") if file.suffix else file.with_name(f"{file.name}.data")


def snapshot_data(
    paths: Sequence[Path], *, record: Path | None = None, machine: Machine | None = None
) -> DataSnapshot:
    """Return what is at ``paths``, by digest, with the record of the run that left it.

    That is in the file ``record``, else in ``ENVBUILD_RUN``.

    :raises UsageError: nothing is at a path, or the record is none.
    :raises EnvbuildError: a path cannot be read, or changes meanwhile.
    """
    from envbuild.data.manifest import manifest_of
    from envbuild.workflows.data.entries import hashed_root

    machine = machine or Machine()
    run = _record(record, machine)
    outputs, manifests = [], {}
    for path in sorted({Path(os.path.normpath(path)) for path in paths}):
        # the folder itself has no name
        root = path if path.name else path.resolve()
        hashed = hashed_root(root, path.as_posix(), machine)
        if hashed is None:
            raise UsageError(f"nothing is at `{path}`")
        if not hashed.digests:
            raise EnvbuildError(f"`{path}` has no files")
        manifest = manifest_of(hashed.digests)
        name = f"{manifest.digest.removeprefix('sha256:')}.sha256"
        manifests[name] = manifest.data
        outputs.append(
            {
                "path": path.as_posix(),
                "digest": manifest.digest,
                "size": hashed.size,
                "files": len(hashed.digests),
                "manifest": name,
            }
        )
    return DataSnapshot(outputs=tuple(outputs), run=run, manifests=manifests)


def _record(file: Path | None, machine: Machine) -> dict[str, Any] | None:
    """Return the record of the run, if there is one."""
    if file is not None:
        try:
            with file.open("rb") as stream:
                text = stream.read(LARGEST_RECORD + 1).decode(errors="replace")
        except OSError as error:
            raise UsageError(f"the record {file} cannot be read: {error.strerror}") from error
        label = str(file)
    else:
        text, label = machine.environment.get(RUN, ""), RUN
        if not text:
            return None
    try:
        record = json.loads(text) if len(text) <= LARGEST_RECORD else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise UsageError(f"{label} is no record of a run", hint="`envbuild run` sets it")
    return record
