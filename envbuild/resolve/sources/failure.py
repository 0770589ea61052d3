"""Builds that failed, in words: what the compiler missed, which package has it, what was not there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from envbuild.errors import BuildFailedError
from envbuild.resolve.sources.job import JobRefusedError

LAST_LINES: Final = 20
LONGEST_LINE: Final = 400

HEADERS: Final[Mapping[str, str]] = {
    "alsa/asoundlib.h": "libasound2-dev",
    "arpack": "libarpack2-dev",
    "blosc.h": "libblosc-dev",
    "boost/": "libboost-dev",
    "bzlib.h": "libbz2-dev",
    "cairo.h": "libcairo2-dev",
    "cblas.h": "libopenblas-dev",
    "curl/curl.h": "libcurl4-openssl-dev",
    "db.h": "libdb-dev",
    "expat.h": "libexpat1-dev",
    "ffi.h": "libffi-dev",
    "fftw3.h": "libfftw3-dev",
    "ft2build.h": "libfreetype-dev",
    "gdal.h": "libgdal-dev",
    "geos_c.h": "libgeos-dev",
    "gmp.h": "libgmp-dev",
    "graphviz/": "libgraphviz-dev",
    "hdf5.h": "libhdf5-dev",
    "jpeglib.h": "libjpeg-dev",
    "krb5.h": "libkrb5-dev",
    "lapacke.h": "liblapacke-dev",
    "lber.h": "libldap-dev",
    "ldap.h": "libldap-dev",
    "leveldb/": "libleveldb-dev",
    "libavcodec/": "libavcodec-dev",
    "libavformat/": "libavformat-dev",
    "libpq-fe.h": "libpq-dev",
    "libusb.h": "libusb-1.0-0-dev",
    "libxml/": "libxml2-dev",
    "libxslt/": "libxslt1-dev",
    "lz4.h": "liblz4-dev",
    "lzma.h": "liblzma-dev",
    "magic.h": "libmagic-dev",
    "mpc.h": "libmpc-dev",
    "mpfr.h": "libmpfr-dev",
    "mpi.h": "libopenmpi-dev",
    "mysql.h": "default-libmysqlclient-dev",
    "ncurses.h": "libncurses-dev",
    "netcdf.h": "libnetcdf-dev",
    "openssl/": "libssl-dev",
    "png.h": "libpng-dev",
    "portaudio.h": "portaudio19-dev",
    "proj.h": "libproj-dev",
    "re2/": "libre2-dev",
    "readline/": "libreadline-dev",
    "rocksdb/": "librocksdb-dev",
    "sasl/": "libsasl2-dev",
    "snappy": "libsnappy-dev",
    "sndfile.h": "libsndfile1-dev",
    "sqlite3.h": "libsqlite3-dev",
    "sql.h": "unixodbc-dev",
    "sqlext.h": "unixodbc-dev",
    "systemd/": "libsystemd-dev",
    "tiff.h": "libtiff-dev",
    "uuid/uuid.h": "uuid-dev",
    "xmlsec/": "libxmlsec1-dev",
    "yaml.h": "libyaml-dev",
    "zlib.h": "zlib1g-dev",
    "zmq.h": "libzmq3-dev",
    "zstd.h": "libzstd-dev",
}
"""Debian package of a header, or of a folder of headers (Debian's package contents, bookworm)."""

PROGRAMS: Final[Mapping[str, str]] = {
    "autoconf": "autoconf",
    "bison": "bison",
    "cmake": "cmake",
    "flex": "flex",
    "gdal-config": "libgdal-dev",
    "geos-config": "libgeos-dev",
    "gfortran": "gfortran",
    "git": "git",
    "llvm-config": "llvm-dev",
    "meson": "meson",
    "mysql_config": "default-libmysqlclient-dev",
    "nasm": "nasm",
    "ninja": "ninja-build",
    "pg_config": "libpq-dev",
    "swig": "swig",
    "unzip": "unzip",
    "wget": "wget",
    "xml2-config": "libxml2-dev",
    "xslt-config": "libxslt1-dev",
}
"""Debian package of a program that builds call."""

LATER: Final = frozenset({"Rust", "cargo", "nvcc", "rustc"})
"""Compilers whose sources are not built yet."""

_HEADER = re.compile(r"fatal error: ([\w./+-]+): No such file or directory")
_LIBRARY = re.compile(r"cannot find -l([\w+-]+)")
_PROGRAM = re.compile(
    r"(?:([\w.+-]+): (?:command )?not found|No such file or directory: '([\w./+-]+)'"
    r"|command '([\w./+-]+)' failed: No such file|([\w.+-]+) executable not found"
    r"|Could not find (cmake|cargo|ninja|swig)|can't find (Rust) compiler)"
)
_MODULE = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named ['\"]?([\w.]+)")
_NETWORK = re.compile(
    r"name resolution|Name or service not known|Network is unreachable|Failed to establish a new connection"
    r"|Could not resolve host|urlopen error|getaddrinfo failed",
    re.IGNORECASE,
)
_COMPILER = re.compile(r"(?:^|\s)(?:fatal )?error:|\w(?:Error|Exception)\b.*:")


def build_failed(package: str, error: JobRefusedError) -> BuildFailedError:
    """Return the error of a build, with its own last lines and what to do about the likely reason."""
    said = error.detail or ""
    message, hint = _reason(package, said)
    message = message or f"`{package}` cannot be built from source: {_telling_line(said) or error.message}"
    return BuildFailedError(message, hint=hint, detail="\n".join(_last_lines(said)))


def _reason(package: str, said: str) -> tuple[str | None, str | None]:
    """Return what was wrong and what to do, as far as that shows; the surest sign first."""
    for sign in (_missing_header, _missing_library, _wanted_network, _missing_program, _missing_module):
        if found := sign(said):
            reason, hint = found
            return f"`{package}` cannot be built from source: {reason}", hint
    return None, None


def _missing_header(said: str) -> tuple[str, str] | None:
    found = _HEADER.search(said)
    if found is None:
        return None
    return f"the header {found[1]} is missing", _package_hint(_debian(found[1], HEADERS))


def _missing_library(said: str) -> tuple[str, str] | None:
    found = _LIBRARY.search(said)
    return (f"the library lib{found[1]} is missing", _package_hint(f"lib{found[1]}-dev")) if found else None


def _wanted_network(said: str) -> tuple[str, str] | None:
    if not _NETWORK.search(said):
        return None
    hint = "builds have none: what they fetch is in no lock; take a version that has a wheel"
    return "its build wants the network", hint


def _missing_program(said: str) -> tuple[str, str] | None:
    for program in _programs(said):
        if program in LATER:
            hint = "only Python, C and C++ are built by this release; take a version that has a wheel"
            return f"it needs {program}", hint
        if program in PROGRAMS:
            return f"the program {program} is missing", _package_hint(PROGRAMS[program])
    return None


def _missing_module(said: str) -> tuple[str, str] | None:
    found = _MODULE.search(said)
    if found is None:
        return None
    hint = "it cannot be added yet; older tools may bring it: bound them in [pip] build-constraints"
    return f"its build imports {found[1]}, which it does not ask for", hint


def _programs(said: str) -> Iterator[str]:
    for groups in _PROGRAM.findall(said):
        for found in groups:
            if found:
                yield found.rpartition("/")[2]


def _debian(header: str, table: Mapping[str, str]) -> str | None:
    for known, package in table.items():
        if header == known or header.endswith(f"/{known}"):
            return package
        if not known.endswith(".h") and header.startswith(known):
            return package
    return None


def _package_hint(package: str | None) -> str:
    if package is None:
        return "add the distribution's package that has it to [pip] build-packages"
    return f'build-packages = ["{package}"] in [pip]; what it links to must be in [system] too'


def _telling_line(said: str) -> str | None:
    lines = [line.strip() for line in said.splitlines() if _COMPILER.search(line)]
    return lines[-1][:LONGEST_LINE] if lines else None


def _last_lines(said: str) -> Iterable[str]:
    lines = [line.rstrip()[:LONGEST_LINE] for line in said.splitlines() if line.strip()]
    return lines[-LAST_LINES:]
