"""The steps of a recipe as layers: its scripts run in a private root, and what they changed is the layer.

The same scripts as in a Dockerfile of the docker engine, under the same paths, with the same environment and
no network.  A step's layer is kept under everything it follows from, so it is run once on a machine.
"""

import contextlib
import errno
import os
import posixpath
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from envbuild.digest import sha256_bytes, sha256_file
from envbuild.errors import BuildFailedError
from envbuild.files.disk import disk_errors, no_room
from envbuild.files.locks import wait_for_lock
from envbuild.files.sizes import counted
from envbuild.formats.compression import Codec
from envbuild.formats.deb_seed import write_seed
from envbuild.image.local.layers.changes import diff_layer, write_tree
from envbuild.image.local.layers.conda import CondaWork
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.image.local.layers.writer import MTIME, LayerWriter
from envbuild.image.local.roots.adopt import normalize_metadata
from envbuild.image.local.roots.private_root import PrivateRoot
from envbuild.image.local.roots.unpack import unpack_layer
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.lock.model import Deb, PythonArchive, User
from envbuild.oci.layer import Layer
from envbuild.parallel import run_all
from envbuild.platforms import DEFAULT_PATH
from envbuild.progress import Progress

FORMAT: Final = 1
"""Goes up when the same step leaves other bytes though its scripts are the same."""

_INPUTS: Final = "/dev/envbuild"
_EVIDENCE_LINES: Final = 30
_NO_ROOM: Final = os.strerror(errno.ENOSPC)
"""Steps speak the language of the C locale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Makes the layers that a distribution's own programs make."""

    cache: LayerStore
    trees: LayerTrees
    scratch: Path
    """Folder of private roots."""

    codec: Codec
    scripts: Mapping[str, bytes]
    """Content of the recipe's scripts by name."""

    artifact: Callable[[str], Path]
    """Gives the verified file of a sha256."""

    environment: Mapping[str, str]
    """What the base's configuration sets."""

    progress: Progress

    def bootstrap(self, debs: Sequence[Deb], seed: Sequence[Deb], *, epoch: int) -> Layer:
        """Return the base that ``debs`` make, as one layer; ``seed`` are those that start it.

        :raises BuildFailedError: dpkg or a maintainer script failed; its last lines are the detail.
        """
        inputs = {
            "debs": sorted(deb.sha256 for deb in debs),
            "seed": [deb.sha256 for deb in seed],
            "scripts": self._digests("bootstrap.sh"),
            "epoch": epoch,
        }
        key = self._key("bootstrap", inputs, f"{len(debs)} packages of the distribution")

        with contextlib.ExitStack() as kept:
            made: list[Path] = []

            def produce(writer: LayerWriter) -> None:
                with PrivateRoot((), scratch=self.scratch) as root:
                    self.progress.on_stage("unpacking the essential packages")
                    self.unpack(seed, root.upper, epoch=epoch)
                    self.progress.on_stage(f"installing the {len(debs)} packages of the base")
                    shown = {"debs": self._debs(root, debs)}
                    started = self._run(root, "bootstrap.sh", (str(epoch),), shown, epoch=epoch)
                    is_normal = normalize_metadata(root.upper, started=started, epoch=epoch)
                    diff_layer(root.upper, root.lowers, writer, started=started, epoch=epoch)
                    if is_normal and (place := kept.enter_context(self.trees.taken(root.upper))):
                        made.append(place)

            layer = self.cache.make(key, produce)
            for place in made:
                self.trees.adopt(place, layer.diff_id)
        return layer

    def unpack(self, debs: Sequence[Deb], folder: Path, *, epoch: int) -> None:
        """Unpack ``debs`` into an empty folder; none of their scripts runs.

        :raises IntegrityError: a package cannot be read.
        :raises DiskFullError: there is no room.
        """
        archive = folder.with_name(f"{folder.name}.tar")
        with disk_errors(self.scratch):
            write_seed((self.artifact(deb.sha256) for deb in debs), archive, epoch=epoch)
            with archive.open("rb") as stream:
                blocks = iter(lambda: stream.read(1 << 20), b"")
                unpack_layer(blocks, folder, diff_id=f"sha256:{sha256_file(archive)}")
            archive.unlink()

    def install(self, below: Sequence[PackedLayer], debs: Sequence[Deb], *, epoch: int) -> Layer:
        """Return the layer of the system packages ``debs``, installed by the apt that is ``below``."""
        inputs = {
            "below": [layer.diff_id for layer in below],
            "debs": sorted(deb.sha256 for deb in debs),
            "scripts": self._digests("system.sh"),
            "environment": dict(self.environment),
            "epoch": epoch,
        }
        names = ", ".join(deb.name for deb in debs[:6]) + (" …" if len(debs) > 6 else "")  # noqa: PLR2004
        key = self._key("system", inputs, f"system packages: {names}")

        def produce(writer: LayerWriter) -> None:
            self.progress.on_stage(f"installing {counted(len(debs), 'system package')}")
            with self._root(below) as root:
                shown = {"debs": self._debs(root, debs)}
                self._step(root, writer, "system.sh", (str(epoch),), shown, epoch=epoch)

        return self.cache.make(key, produce)

    def standalone(self, below: Sequence[PackedLayer], archive: PythonArchive) -> Layer:
        """Return the layer of a standalone Python, for a base that has not the wanted one."""
        inputs = {
            "below": [layer.diff_id for layer in below],
            "scripts": self._digests("python.sh"),
            "environment": dict(self.environment),
            "archive": archive.sha256,
        }
        key = self._key("python", inputs, f"standalone Python: {archive.file}")

        def produce(writer: LayerWriter) -> None:
            self.progress.on_stage("unpacking Python")
            files = {archive.file: self.artifact(archive.sha256)}
            with self._root(below) as root:
                shown = {"python": _lay_artifacts(root, "python", files)}
                self._step(root, writer, "python.sh", (), shown, epoch=MTIME)

        return self.cache.make(key, produce)

    def environment_of(self, below: Sequence[PackedLayer], *, interpreter: str, prefix: str) -> Layer:
        """Return the layer of the empty Python environment; the same on every base with that interpreter."""
        inputs = {
            "below": [layer.diff_id for layer in below],
            "scripts": self._digests("venv.sh"),
            "environment": dict(self.environment),
            "interpreter": interpreter,
            "prefix": prefix,
        }
        key = self._key("environment", inputs, f"Python environment in {prefix}")

        def produce(writer: LayerWriter) -> None:
            with self._root(below) as root:
                self._step(root, writer, "venv.sh", (interpreter, prefix), {}, epoch=MTIME)

        return self.cache.make(key, produce)

    def conda(self, below: Sequence[PackedLayer], work: CondaWork) -> tuple[Layer, ...]:
        """Return the layers of conda packages, bottom first, laid down on ``below`` by its own Python.

        Unless packages have link scripts, ``below`` has no part in them.

        :raises BuildFailedError: py-rattler, a link script or the environment's Python failed.
        """
        keys = tuple(
            self._key("conda", {**self._conda_inputs(below, work), "layer": number}, comment)
            for number, comment in enumerate(work.comments, start=1)
        )
        known = tuple(layer for key in keys if (layer := self.cache.get(key)))
        if len(known) == len(keys):
            return known
        self.scratch.mkdir(parents=True, exist_ok=True)
        # one process lays them down, the others wait for it
        turn = wait_for_lock(lock := self.scratch / f"conda-{keys[0].name}")
        try:
            return self._lay_conda(below, work, keys)
        finally:
            lock.unlink(missing_ok=True)
            os.close(turn)

    def _conda_inputs(self, below: Sequence[PackedLayer], work: CondaWork) -> dict[str, Any]:
        surroundings = [[layer.diff_id for layer in below], dict(self.environment)]
        return {
            "scripts": {name: sha256_bytes(self.scripts[name]) for name in work.scripts},
            "tool": work.tool.sha256,
            "work": sha256_bytes(work.document),
            "prefix": work.prefix,
            "surroundings": surroundings if work.runs_scripts else None,
        }

    def _lay_conda(
        self, below: Sequence[PackedLayer], work: CondaWork, keys: Sequence[LayerKey]
    ) -> tuple[Layer, ...]:
        found = [self.cache.get(key) for key in keys]
        missing = [number for number, layer in enumerate(found) if layer is None]
        if missing:
            if work.archive:
                python = self.standalone(below, work.archive)
                below = (*below, PackedLayer(python.diff_id, partial(self.cache.chunks, python)))
            self.progress.on_stage(f"laying {counted(len(work.packages), 'conda package')} down")
            with self._root(below) as root:
                packages = {package.file: self.artifact(package.sha256) for package in work.packages}
                shown = {
                    "self": _lay_files(root, "self", {"lock.json": work.document}),
                    "tools": _lay_artifacts(root, "tools", {work.tool.file: self.artifact(work.tool.sha256)}),
                    "conda": _lay_artifacts(root, "conda", packages),
                }
                self._run(root, "conda.sh", (work.interpreter, work.prefix), shown, epoch=MTIME)
                prefix = work.prefix.strip("/")

                def make(number: int) -> None:
                    folder = root.upper / "layers" / str(number + 1) / prefix
                    produce = partial(write_tree, folder, prefix)
                    found[number] = self.cache.make(keys[number], produce)

                run_all(make, missing, workers=len(os.sched_getaffinity(0)))
        return tuple(layer for layer in found if layer is not None)

    def finish(
        self,
        below: Sequence[PackedLayer],
        *,
        user: User,
        workdir: str,
        files: Mapping[str, bytes],
        epoch: int,
    ) -> Layer:
        """Return the layer of the user, the working directory, and ``files`` that go to ``/etc/envbuild``."""
        inputs = {
            "below": [layer.diff_id for layer in below],
            "scripts": self._digests("finish.sh"),
            "environment": dict(self.environment),
            "user": [user.name, user.uid, user.gid],
            "workdir": workdir,
            "files": {name: sha256_bytes(content) for name, content in files.items()},
            "epoch": epoch,
        }
        key = self._key("finish", inputs, "user, working directory, lock and probe")
        arguments = (user.name, str(user.uid), str(user.gid), workdir)

        def produce(writer: LayerWriter) -> None:
            with self._root(below) as root:
                shown = {"self": _lay_files(root, "self", files)}
                self._step(root, writer, "finish.sh", arguments, shown, epoch=epoch)

        return self.cache.make(key, produce)

    def _step(
        self,
        root: PrivateRoot,
        writer: LayerWriter,
        script: str,
        arguments: Sequence[str],
        inputs: Mapping[str, Path],
        *,
        epoch: int,
    ) -> None:
        """Run one script in ``root`` and write what it changed.

        :raises BuildFailedError: it failed; its last lines are the detail.
        """
        started = self._run(root, script, arguments, inputs, epoch=epoch)
        diff_layer(root.upper, root.lowers, writer, started=started, epoch=epoch)

    def _run(
        self,
        root: PrivateRoot,
        script: str,
        arguments: Sequence[str],
        inputs: Mapping[str, Path],
        *,
        epoch: int,
    ) -> float:
        """Run one script in ``root`` and return when it was started.

        :raises BuildFailedError: it failed; its last lines are the detail.
        :raises DiskFullError: it says that there is no room.
        """
        shown = {"recipe": _lay_files(root, "recipe", self.scripts), **inputs}
        # the time as the file system has it: this process may be told another (libfaketime)
        started = shown["recipe"].stat().st_mtime
        outcome = root.run(
            ("/bin/sh", f"{_INPUTS}/recipe/{script}", *arguments),
            binds={f"{_INPUTS}/{name}": place for name, place in shown.items()},
            env={"PATH": DEFAULT_PATH, **self.environment, "SOURCE_DATE_EPOCH": str(epoch)},
        )
        if outcome.exit_status != 0:
            said = (outcome.stdout + outcome.stderr).decode(errors="replace").splitlines()
            evidence = "\n".join(said[-_EVIDENCE_LINES:])
            if _NO_ROOM in evidence:
                raise no_room(self.scratch, detail=evidence)
            raise BuildFailedError(
                f"the build failed at: {script} (status {outcome.exit_status})", detail=evidence
            )
        return started

    @contextlib.contextmanager
    def _root(self, below: Sequence[PackedLayer]) -> Iterator[PrivateRoot]:
        with self.trees.held(below) as folders, PrivateRoot(folders, scratch=self.scratch) as root:
            yield root

    def _debs(self, root: PrivateRoot, debs: Sequence[Deb]) -> Path:
        """Return a folder of the packages under the names their archive gives them."""
        files = {posixpath.basename(deb.path): self.artifact(deb.sha256) for deb in debs}
        return _lay_artifacts(root, "debs", files)

    def _digests(self, script: str) -> dict[str, str]:
        """Return what tells a step's scripts from their other editions."""
        return {name: sha256_bytes(self.scripts[name]) for name in ("clamp.sh", script)}

    def _key(self, kind: str, inputs: Mapping[str, Any], comment: str) -> LayerKey:
        return LayerKey(kind=kind, inputs={"step": FORMAT, **inputs}, codec=self.codec, comment=comment)


def _lay_files(root: PrivateRoot, name: str, files: Mapping[str, bytes]) -> Path:
    """Return a folder that holds ``files`` by their names, to be shown in ``root``."""
    folder = root.folder / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def _lay_artifacts(root: PrivateRoot, name: str, files: Mapping[str, Path]) -> Path:
    folder = root.folder / name
    folder.mkdir()
    for file, source in files.items():
        try:
            (folder / file).hardlink_to(source)
        except OSError:
            # another disk
            shutil.copyfile(source, folder / file)
    return folder
