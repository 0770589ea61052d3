"""A tiny Debian archive on the loopback interface, and the packages to put into it."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.rig.bases import EPOCH
from tests.rig.web import Answer, Faults, LoopbackServer, Request


def make_deb(
    folder: Path,
    name: str,
    version: str,
    *,
    architecture: str = "all",
    depends: str = "",
    files: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    postinst: str = "",
) -> Path:
    """Write a package with dpkg-deb; the same arguments give the same bytes.

    `files` maps paths to content, `fields` adds control fields (`Conflicts`, `Pre-Depends`, …).
    """
    control = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "Test Rig <rig@example.com>",
        "Description": f"{name}, made for tests",
        **({"Depends": depends} if depends else {}),
        **(fields or {}),
    }
    # An epoch is no part of the file's name.
    path = folder / f"{name}_{version.rpartition(':')[2]}_{architecture}.deb"
    with TemporaryDirectory() as work:
        tree = Path(work) / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        tree.chmod(0o755)
        (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
        if postinst:
            script = tree / "DEBIAN/postinst"
            script.write_text(postinst)
            script.chmod(0o755)
        for place, content in (files or {}).items():
            file = tree / place.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        _run(
            *("dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", tree, path),
            environment={"SOURCE_DATE_EPOCH": str(EPOCH)},
        )
    return path


class DebianArchive(LoopbackServer):
    """Serve the packages of `folder` as one suite, component `main`, unsigned.

    The folder is read at each request, so packages may come and go.
    """

    def __init__(
        self,
        folder: Path,
        *,
        architecture: str = "amd64",
        suite: str = "rig",
        faults: Faults | None = None,
    ) -> None:
        super().__init__(self._answer, faults=faults)
        self.suite = suite
        self.folder = folder
        self.architecture = architecture

    @property
    def source(self) -> str:
        """The line for a `sources.list`; nothing is signed, so it says to trust it."""
        return f"deb [trusted=yes] {self.url} {self.suite} main"

    def _answer(self, request: Request) -> Answer | None:
        packages_path = f"main/binary-{self.architecture}/Packages"
        if request.path == f"/dists/{self.suite}/Release":
            return Answer(content=self._release(packages_path), media_type="text/plain")
        if request.path == f"/dists/{self.suite}/{packages_path}":
            return Answer(content=self._packages(), media_type="text/plain")
        path = self.folder / request.path.removeprefix("/pool/")
        return Answer(content=path) if path in self._debs() else None

    def _debs(self) -> list[Path]:
        return sorted(self.folder.glob("*.deb"))

    def _packages(self) -> bytes:
        return "\n".join(map(_stanza, self._debs())).encode()

    def _release(self, packages_path: str) -> bytes:
        packages = self._packages()
        return (
            f"Origin: rig\nSuite: {self.suite}\nCodename: {self.suite}\n"
            f"Architectures: {self.architecture}\nComponents: main\n"
            f"Date: Tue, 14 Nov 2023 22:13:20 UTC\nSHA256:\n"
            f" {hashlib.sha256(packages).hexdigest()} {len(packages)} {packages_path}\n"
        ).encode()


def _stanza(deb: Path) -> str:
    content = deb.read_bytes()
    control = _run("dpkg-deb", "--field", deb)
    return (
        f"{control}Filename: pool/{deb.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def _run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout
