"""A Python package index on the loopback interface, and the wheels to put into it."""

import base64
import csv
import gzip
import hashlib
import html
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

from tests.rig.web import Answer, Faults, LoopbackServer, Request

UPLOADED = "2025-01-01T00:00:00Z"
_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html"


@dataclass(slots=True, kw_only=True)
class IndexFaults(Faults):
    """What goes wrong at an index."""

    without_hash: set[str] = field(default_factory=set)
    """File names listed without a sha256."""
    html_only: bool = False
    """An old index: no JSON, hence no sizes and no times."""


class PackageIndex(LoopbackServer):
    """Serve the wheels and source archives of `folder` by the simple API, JSON (PEP 691) and HTML (PEP 503).

    The folder is read at each request, so files may come and go.  Metadata files (PEP 658) are served with
    `metadata_files`.  `yanked` maps file names to reasons, `uploaded` to times.  With `auth` every request
    needs it; `index_url` carries no credentials.
    """

    faults: IndexFaults

    def __init__(
        self,
        folder: Path,
        *,
        faults: IndexFaults | None = None,
        auth: tuple[str, str] | None = None,
        metadata_files: bool = False,
        uploaded: Mapping[str, str] | None = None,
        yanked: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(self._answer, faults=faults or IndexFaults(), auth=auth)
        self.folder = folder
        self._metadata_files = metadata_files
        self._uploaded = dict(uploaded or {})
        self._yanked = dict(yanked or {})
        self._hashes: dict[tuple[str, int], str] = {}

    @property
    def index_url(self) -> str:
        return f"{self.url}/simple/"

    def _answer(self, request: Request) -> Answer | None:
        parts = request.path.strip("/").split("/")
        as_json = _JSON in request.accept and not self.faults.html_only
        match parts:
            case ["simple"]:
                return _listing(as_json, self._projects())
            case ["simple", project]:
                files = [path for path in self._files() if _project(path.name) == project]
                return self._project_page(as_json, project, files) if files else None
            case ["files", name]:
                return self._file(name)
            case _:
                return None

    def _files(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if p.name.endswith((".whl", ".tar.gz")))

    def _projects(self) -> list[str]:
        return sorted({_project(path.name) for path in self._files()})

    def _file(self, name: str) -> Answer | None:
        path = self.folder / name.removesuffix(".metadata")
        if path not in self._files():
            return None
        if name.endswith(".metadata"):
            return Answer(content=_wheel_metadata(path)) if self._metadata_files else None
        return Answer(content=path)

    def _sha256(self, path: Path) -> str:
        key = (path.name, path.stat().st_mtime_ns)
        if key not in self._hashes:
            with path.open("rb") as stream:
                self._hashes[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._hashes[key]

    def _project_page(self, as_json: bool, project: str, paths: Sequence[Path]) -> Answer:
        files = [self._describe(path) for path in paths]
        if as_json:
            versions = sorted({_version(path.name) for path in paths})
            page = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": files}
            return Answer(content=json.dumps(page).encode(), media_type=_JSON)
        anchors = "\n".join(map(_anchor, files))
        return Answer(
            content=f"<!DOCTYPE html><html><body>\n{anchors}\n</body></html>\n".encode(), media_type=_HTML
        )

    def _describe(self, path: Path) -> dict[str, object]:
        name = path.name
        described: dict[str, object] = {
            "filename": name,
            "url": f"{self.url}/files/{name}",
            "hashes": {} if name in self.faults.without_hash else {"sha256": self._sha256(path)},
            "size": path.stat().st_size,
            "upload-time": self._uploaded.get(name, UPLOADED),
            "yanked": self._yanked.get(name, False),
        }
        if name.endswith(".whl"):
            metadata = _wheel_metadata(path)
            requires_python = HeaderParser().parsestr(metadata.decode())["Requires-Python"]
            if requires_python:
                described["requires-python"] = requires_python
            if self._metadata_files:
                described["core-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
        return described


def _listing(as_json: bool, projects: Sequence[str]) -> Answer:
    if as_json:
        page = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in projects]}
        return Answer(content=json.dumps(page).encode(), media_type=_JSON)
    anchors = "\n".join(f'<a href="{name}/">{name}</a>' for name in projects)
    return Answer(
        content=f"<!DOCTYPE html><html><body>\n{anchors}\n</body></html>\n".encode(), media_type=_HTML
    )


def _anchor(file: Mapping[str, object]) -> str:
    hashes, metadata = file["hashes"], file.get("core-metadata")
    assert isinstance(hashes, dict)
    fragment = f"#sha256={hashes['sha256']}" if hashes else ""
    attributes = {"href": f"{file['url']}{fragment}"}
    if "requires-python" in file:
        attributes["data-requires-python"] = str(file["requires-python"])
    if isinstance(metadata, dict):
        attributes["data-core-metadata"] = f"sha256={metadata['sha256']}"
    if file["yanked"] is not False:
        attributes["data-yanked"] = str(file["yanked"])
    text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<a {text}>{file['filename']}</a>"


def _project(filename: str) -> str:
    name = filename.partition("-")[0] if filename.endswith(".whl") else filename.rpartition("-")[0]
    return _normalised(name)


def _version(filename: str) -> str:
    if filename.endswith(".whl"):
        return filename.split("-")[1]
    return filename.removesuffix(".tar.gz").rpartition("-")[2]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _wheel_metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as wheel:
        (name,) = (n for n in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        return wheel.read(name)


# --- packages -----------------------------------------------------------------------------------


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    files: Mapping[str, str | bytes] | None = None,
    tag: str = "py3-none-any",
    extras: Mapping[str, Sequence[str]] | None = None,
    requires_python: str = "",
    entry_points: str = "",
) -> Path:
    """Write a valid wheel; the same arguments give the same bytes.

    Without `files` it holds one module, `NAME.py`, that knows its `__version__`.  `extras` maps an extra to
    its requirements.  A `tag` that does not end in `-any` makes it a binary wheel.
    """
    stem = f"{_normalised(name).replace('-', '_')}-{version}"
    if files is None:
        files = {f"{_normalised(name).replace('-', '_')}.py": f'__version__ = "{version}"\n'}
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: Apache-2.0"]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, requirements in sorted((extras or {}).items()):
        metadata.append(f"Provides-Extra: {extra}")
        metadata += [_under_extra(requirement, extra) for requirement in requirements]
    pure = str(tag.endswith("-any")).lower()
    tags = "".join(f"Tag: {one}\n" for one in _expanded(tag))
    content = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    content[f"{stem}.dist-info/METADATA"] = ("\n".join(metadata) + "\n").encode()
    content[f"{stem}.dist-info/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: test rig\nRoot-Is-Purelib: {pure}\n{tags}".encode()
    )
    if entry_points:
        content[f"{stem}.dist-info/entry_points.txt"] = entry_points.encode()
    content[f"{stem}.dist-info/RECORD"] = _record(content, f"{stem}.dist-info/RECORD")
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in content.items():
            # The earliest time a zip can hold.
            entry = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, data)
    return path


def make_sdist(folder: Path, name: str, version: str, *, requires: Sequence[str] = ()) -> Path:
    """Write a source archive that says what it is and cannot be built: for tests of refusing one."""
    stem = f"{_normalised(name).replace('-', '_')}-{version}"
    lines = [f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    content = ("\n".join(lines) + "\n").encode()
    path = folder / f"{stem}.tar.gz"
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member, data in (("PKG-INFO", content), ("pyproject.toml", b"")):
            entry = tarfile.TarInfo(f"{stem}/{member}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def _under_extra(requirement: str, extra: str) -> str:
    what, _, marker = requirement.partition(";")
    condition = f'({marker.strip()}) and extra == "{extra}"' if marker else f'extra == "{extra}"'
    return f"Requires-Dist: {what.strip()} ; {condition}"


def _expanded(tag: str) -> list[str]:
    """`py2.py3-none-any` stands for two tags, and WHEEL lists each."""
    pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
    return [f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms]


def _record(content: Mapping[str, bytes], record: str) -> bytes:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow([path, f"sha256={digest}", len(data)])
    writer.writerow([record, "", ""])
    return lines.getvalue().encode()
