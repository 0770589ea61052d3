"""Build a Python project inside a sandbox: a program of its own, run by the builder's Python.

usage: python -I -S -B backend.py INPUT

INPUT is a tar: ``job.json``, the source archive ``source``, and the wheels it is built with under
``wheels/``.  The result goes to standard output as a tar: ``result.json`` and, depending on the job,
``METADATA`` or a wheel.  What the project's own code prints goes to standard error.  Standard library only,
Python 3.8 or newer.

Whatever can make two builds differ is fixed here: paths, times, locale, the order of folders, hash seeds and
the form of the wheel's zip.
"""

import base64
import hashlib
import io
import json
import os
import posixpath
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from configparser import RawConfigParser
from typing import Any

Job = dict[str, Any]
"""What ``job.json`` holds."""

Entry = tuple[str, int, str | None, bytes]
"""Name, mode, where a link leads (None: it is a file), and content."""

WORK = "/tmp/envbuild-build"
PYTHON = "/opt/venv/bin/python"

ORDERLY = """\
# Folders are listed in order, whatever the file system: what is built does not depend on it.
import os

_listdir, _scandir = os.listdir, os.scandir


class _Entries:
    def __init__(self, entries):
        self._entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._entries = iter(())


def listdir(*args, **named):
    return sorted(_listdir(*args, **named))


def scandir(*args, **named):
    with _scandir(*args, **named) as entries:
        return _Entries(sorted(entries, key=lambda entry: entry.name))


os.listdir, os.scandir = listdir, scandir
"""

HOOK = """\
import sys
# as PEP 517 has it: what lies in the project's folder hides no module of others
del sys.path[0]
import importlib, json, os

action, backend, paths, output, answer = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), *sys.argv[4:6]
sys.path[:0] = [os.path.abspath(path) for path in paths]
name, _, attributes = backend.partition(":")
hooks = importlib.import_module(name)
for attribute in filter(None, attributes.split(".")):
    hooks = getattr(hooks, attribute)
if action == "requires":
    hook = getattr(hooks, "get_requires_for_build_wheel", None)
    found = list(hook() or ()) if hook else []
elif action == "metadata":
    hook = getattr(hooks, "prepare_metadata_for_build_wheel", None)
    found = hook(output) if hook else None
else:
    found = hooks.build_wheel(output)
with open(answer, "w", encoding="utf-8") as stream:
    json.dump(found, stream)
"""


class Refused(Exception):
    """The job cannot be done; told to who asked for it."""


def main(path: str) -> None:
    """Do the job in the tar at ``path`` and write the result to standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    files: dict[str, bytes] = {}
    try:
        job = unpack_input(path)
        result, files = work(job)
    except Refused as error:
        result = {"error": str(error)}
    with tarfile.open(fileobj=out, mode="w|") as archive:
        for name, data in [("result.json", json.dumps(result).encode())] + sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    out.close()


def work(job: Job) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the result of a job, and its files by name."""
    source = unpack_source(job)
    environment = lay_out()
    environment["SOURCE_DATE_EPOCH"] = str(job["epoch"])
    job["environment"] = environment
    action = job["action"]
    if action == "requires":
        return {"requires": hook(job, source, "requires")}, {}
    if action == "metadata":
        folder = os.path.join(WORK, "metadata")
        os.mkdir(folder)
        found = hook(job, source, "metadata", folder)
        if found is not None:
            with open(os.path.join(folder, found, "METADATA"), "rb") as stream:
                return {}, {"METADATA": stream.read()}
    folder = os.path.join(WORK, "wheel")
    os.mkdir(folder)
    name = os.path.basename(hook(job, source, "wheel", folder))
    path = os.path.join(folder, name)
    try:
        data = canonical_wheel(path, job["epoch"])
    except (zipfile.BadZipFile, OSError) as error:
        raise Refused("the build gave no proper wheel: %s" % error)
    if action == "metadata":
        return {}, {"METADATA": metadata_of(data)}
    return {"wheel": name}, {name: data}


# --- what is built ------------------------------------------------------------------------------


def unpack_input(path: str) -> Job:
    """Unpack the job's tar below WORK and return the job."""
    os.umask(0o022)
    os.mkdir(WORK)
    with tarfile.open(path) as archive:
        for entry in archive:
            target = os.path.join(WORK, entry.name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as stream:
                stream.write(content_of(archive, entry))
    with open(os.path.join(WORK, "job.json"), encoding="utf-8") as stream:
        job: Job = json.load(stream)
    return job


def content_of(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    """Return what a file, or what a link to one, holds."""
    stream = archive.extractfile(entry)
    return stream.read() if stream else b""


def unpack_source(job: Job) -> str:
    """Unpack the source archive and return the folder of the project."""
    root = os.path.join(WORK, "src")
    os.mkdir(root)
    path = os.path.join(WORK, "source")
    entries = zip_entries(path) if zipfile.is_zipfile(path) else tar_entries(path)
    for name, mode, link, data in sorted(entries, key=lambda entry: entry[0]):
        write_entry(root, name, mode, link, data)
    tops = sorted(os.listdir(root))
    project = os.path.join(root, tops[0]) if len(tops) == 1 and not job["is-tree"] else root
    if job["subdirectory"]:
        project = os.path.join(project, job["subdirectory"])
    if not os.path.isdir(project):
        raise Refused("the source has no folder `%s`" % job["subdirectory"])
    # one path for every archive, whatever its top folder is called: paths get into debug information
    final = os.path.join(WORK, "project")
    if job["subdirectory"]:
        os.symlink(project, final)
    else:
        os.rename(project, final)
    set_times(final, job["epoch"])
    return final


def tar_entries(path: str) -> Iterator[Entry]:
    """Yield (name, mode, link, data) of a tar; of what is neither file, folder nor link nothing."""
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                if entry.isreg() or entry.islnk():
                    yield entry.name, entry.mode, None, content_of(archive, entry)
                elif entry.issym():
                    yield entry.name, entry.mode, entry.linkname, b""
    except (tarfile.TarError, EOFError, OSError, KeyError) as error:
        raise Refused("the source archive cannot be unpacked: %s" % error)


def zip_entries(path: str) -> Iterator[Entry]:
    """Yield the same of a zip."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.is_dir():
                yield entry.filename, entry.external_attr >> 16, None, archive.read(entry)


def write_entry(root: str, name: str, mode: int, link: str | None, data: bytes) -> None:
    """Write one entry below ``root``; what would lie or lead outside is refused."""
    clean = posixpath.normpath(name)
    if clean.startswith(("/", "../")) or clean in ("..", "."):
        raise Refused("the source archive has a path outside of itself: %s" % name)
    target = os.path.join(root, clean)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.realpath(os.path.dirname(target)).startswith(os.path.realpath(root)):
        raise Refused("the source archive writes through a link: %s" % name)
    if link is not None:
        led = posixpath.normpath(posixpath.join(posixpath.dirname(clean), link))
        if led.startswith(("/", "../")) or led == "..":
            raise Refused("the source archive has a link out of itself: %s" % name)
        os.symlink(link, target)
        return
    if os.path.lexists(target):
        os.unlink(target)
    with open(target, "wb") as stream:
        stream.write(data)
    os.chmod(target, 0o755 if mode & 0o111 else 0o644)


def set_times(folder: str, epoch: int) -> None:
    """Give all below ``folder`` one time, in seconds since 1970."""
    for here, folders, files in os.walk(folder):
        for name in folders + files:
            os.utime(os.path.join(here, name), (epoch, epoch), follow_symlinks=False)
    os.utime(folder, (epoch, epoch))


# --- what it is built with ----------------------------------------------------------------------


def lay_out() -> dict[str, str]:
    """Lay the wheels out and return the environment that the project's code runs in."""
    library, programs = os.path.join(WORK, "env", "lib"), os.path.join(WORK, "env", "bin")
    for folder in (library, programs, os.path.join(WORK, "home"), os.path.join(WORK, "tmp")):
        os.makedirs(folder)
    wheels = os.path.join(WORK, "wheels")
    for name in sorted(os.listdir(wheels)) if os.path.isdir(wheels) else ():
        lay_wheel(os.path.join(wheels, name), library, programs)
    with open(os.path.join(library, "sitecustomize.py"), "w", encoding="utf-8") as stream:
        stream.write(ORDERLY)
    return {
        "HOME": os.path.join(WORK, "home"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": programs + ":/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": library,
        "TMPDIR": os.path.join(WORK, "tmp"),
        "TZ": "UTC",
    }


def lay_wheel(path: str, library: str, programs: str) -> None:
    """Lay one wheel out: its modules into ``library``, its programs into ``programs``."""
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            if entry.is_dir():
                continue
            where, inner = place_of(entry.filename)
            if where is None:
                continue
            root = (
                programs if where == "scripts" else library if where == "lib" else os.path.dirname(programs)
            )
            target = os.path.join(root, inner)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            data = wheel.read(entry)
            if where == "scripts" and data.startswith(b"#!python"):
                data = b"#!" + PYTHON.encode() + data[len("#!python") :]
            with open(target, "wb") as stream:
                stream.write(data)
            executable = where == "scripts" or (entry.external_attr >> 16) & 0o111
            os.chmod(target, 0o755 if executable else 0o644)
            if inner.endswith(".dist-info/entry_points.txt"):
                write_programs(data.decode(), programs)


def place_of(name: str) -> tuple[str | None, str]:
    """Return which scheme a file of a wheel belongs to, and its path there; None: nobody needs it."""
    clean = posixpath.normpath(name)
    if clean.startswith(("/", "../")):
        raise Refused("a wheel it is built with has a path outside of itself: %s" % name)
    first, _, rest = clean.partition("/")
    if not first.endswith(".data"):
        return "lib", clean
    kind, _, inner = rest.partition("/")
    places = {"purelib": "lib", "platlib": "lib", "scripts": "scripts", "data": "data"}
    return places.get(kind), inner


def write_programs(text: str, programs: str) -> None:
    """Write the console scripts of ``entry_points.txt``."""
    points = RawConfigParser(delimiters=("=",))
    points.optionxform = str  # type: ignore[method-assign, assignment]
    points.read_string(text)
    for name, target in points.items("console_scripts") if points.has_section("console_scripts") else ():
        module, _, function = target.partition("[")[0].strip().partition(":")
        path = os.path.join(programs, os.path.basename(name))
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(
                "#!%s\nimport sys\nimport %s\nsys.exit(%s.%s())\n" % (PYTHON, module, module, function)
            )
        os.chmod(path, 0o755)


def hook(job: Job, source: str, action: str, folder: str = "") -> Any:
    """Call a hook of the build backend (PEP 517) and return its answer."""
    answer = os.path.join(WORK, "answer.json")
    command = [
        PYTHON, "-c", HOOK, action, job["backend"], json.dumps(job["backend-path"]), folder, answer
    ]  # fmt: skip
    status = subprocess.call(command, cwd=source, env=job["environment"], stdin=subprocess.DEVNULL)
    if status != 0 or not os.path.exists(answer):
        raise Refused("exit status %d" % status)
    with open(answer, encoding="utf-8") as stream:
        found = json.load(stream)
    os.unlink(answer)
    return found


# --- the wheel ----------------------------------------------------------------------------------


def canonical_wheel(path: str, epoch: int) -> bytes:
    """Return a wheel with one form for the same content: order, times, modes, compression, RECORD."""
    with zipfile.ZipFile(path) as wheel:
        names = [entry.filename for entry in wheel.infolist() if not entry.is_dir()]
        record = [name for name in names if name.endswith(".dist-info/RECORD") and name.count("/") == 1]
        if len(record) != 1 or len(names) != len(set(names)):
            raise Refused("the build gave no proper wheel")
        content = {name: wheel.read(name) for name in names if name != record[0]}
        modes = {entry.filename: (entry.external_attr >> 16) & 0o111 for entry in wheel.infolist()}
    lines = [
        "%s,sha256=%s,%d" % (csv_field(name), urlsafe_digest(data), len(data))
        for name, data in sorted(content.items())
    ]
    content[record[0]] = "\n".join(sorted(lines) + [csv_field(record[0]) + ",,", ""]).encode()
    buffer = io.BytesIO()
    moment = max(epoch, 315532800)
    # as zip writes times: two seconds at a time, from 1980 on
    date_time = time.gmtime(moment)[:6]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:
        for name in sorted(content, key=lambda name: (".dist-info/" in name, name == record[0], name)):
            entry = zipfile.ZipInfo(name, date_time)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | (0o755 if modes.get(name) else 0o644)) << 16
            wheel.writestr(entry, content[name])
    return buffer.getvalue()


def csv_field(name: str) -> str:
    """Return a path as RECORD writes it."""
    return '"%s"' % name.replace('"', '""') if "," in name or '"' in name else name


def urlsafe_digest(data: bytes) -> str:
    """Return the digest of ``data`` as RECORD writes it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def metadata_of(data: bytes) -> bytes:
    """Return METADATA of a wheel."""
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return wheel.read(name)


if __name__ == "__main__":
    main(sys.argv[1])
