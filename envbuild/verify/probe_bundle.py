"""The probe as one file: a zip archive that Python runs, the same bytes from the same sources."""

import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

_MAIN = "import sys\n\nfrom envbuild.verify.probe.main import main\n\nsys.exit(main())\n"
_PACKAGES = ("probe", "checks")
_SHARED = ("catalog/capability.py", "lock/tracker_variables.py", "visible.py")
"""Modules of rooms below that the two packages import, and that import nothing themselves."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment a zip can name."""

# A probe sent on standard input runs from memory: the container may be read-only, and nothing is left in it.
_FROM_INPUT = (
    "import os,runpy,sys;"
    "d=os.memfd_create('probe',0);"
    "f=os.fdopen(d,'wb',closefd=False);f.write(sys.stdin.buffer.read());f.close();"
    "runpy.run_path(f'/proc/self/fd/{d}',run_name='__main__')"
)


def build_probe() -> bytes:
    """Return the probe: modules of this room that need the standard library only, and nvidia-ml-py's one.

    Stored, not compressed, so that no release of zlib changes a byte; sorted, without times or owners.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(_members()):
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.create_system = 3  # Unix, on every system
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def probe_arguments(interpreter: str, arguments: Iterable[str]) -> tuple[str, ...]:
    """Return the command that runs the probe in a container when its bytes come on standard input."""
    return (interpreter, "-I", "-S", "-B", "-c", _FROM_INPUT, *arguments)


def facts_arguments(
    *,
    prefix: str,
    variables: Iterable[str],
    gpu: bool = False,
    gpu_libraries: Mapping[str, str | None] = MappingProxyType({}),
    imports: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return the probe's arguments that ask for all facts, with the values of these variables only.

    ``gpu`` asks for drivers and GPUs, ``gpu_libraries`` where these sonames come from, and
    what is at the path where each should be; ``imports`` what comes of importing these frameworks.
    """
    return (
        "facts",
        f"--prefix={prefix}",
        *(f"--env={name}" for name in sorted(variables)),
        *(("--gpu",) if gpu else ()),
        *(f"--gpu-library={soname}={path or ''}" for soname, path in gpu_libraries.items()),
        *(f"--import={framework}" for framework in imports),
    )


def _members() -> Iterator[tuple[str, bytes]]:
    root = Path(__file__).parents[1]
    yield "__main__.py", _MAIN.encode()
    # the packages above are only names here
    yield "envbuild/__init__.py", b""
    yield "envbuild/catalog/__init__.py", b""
    yield "envbuild/lock/__init__.py", b""
    yield "envbuild/verify/__init__.py", b""
    yield "pynvml.py", _nvml_module()
    modules = [root / name for name in _SHARED]
    for package in _PACKAGES:
        modules += (root / "verify" / package).glob("*.py")
    for module in modules:
        # one form of line ends, however the sources were checked out
        text = module.read_text(encoding="utf-8")
        yield f"envbuild/{module.relative_to(root).as_posix()}", text.encode()


def _nvml_module() -> bytes:
    """Return nvidia-ml-py's module: NVML's bindings, one file, without being run here."""
    found = importlib.util.find_spec("pynvml")
    if found is None or found.origin is None:
        raise RuntimeError("nvidia-ml-py is not installed, though envbuild depends on it")
    return Path(found.origin).read_bytes()
