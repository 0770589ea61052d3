import pytest

from envbuild.resolve.sources.failure import LAST_LINES, build_failed
from envbuild.resolve.sources.job import JobRefusedError

PACKAGES = 'build-packages = ["{}"] in [pip]; what it links to must be in [system] too'


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (
            "x.c:1:10: fatal error: libpq-fe.h: No such file or directory",
            "the header libpq-fe.h is missing",
            PACKAGES.format("libpq-dev"),
        ),
        (
            "a.c:3:10: fatal error: postgresql/libpq-fe.h: No such file or directory",
            "the header postgresql/libpq-fe.h is missing",
            PACKAGES.format("libpq-dev"),
        ),
        (
            "a.c:3:10: fatal error: openssl/ssl.h: No such file or directory",
            "the header openssl/ssl.h is missing",
            PACKAGES.format("libssl-dev"),
        ),
        (
            "a.c:3:10: fatal error: nobody/knows.h: No such file or directory",
            "the header nobody/knows.h is missing",
            "add the distribution's package that has it to [pip] build-packages",
        ),
        (
            "/usr/bin/ld: cannot find -lxml2: No such file",
            "the library libxml2 is missing",
            PACKAGES.format("libxml2-dev"),
        ),
        (
            "Error: pg_config executable not found.",
            "the program pg_config is missing",
            PACKAGES.format("libpq-dev"),
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'cmake'",
            "the program cmake is missing",
            PACKAGES.format("cmake"),
        ),
        ("/bin/sh: 1: swig: not found", "the program swig is missing", PACKAGES.format("swig")),
        (
            "error: can't find Rust compiler",
            "it needs Rust",
            "only Python, C and C++ are built by this release; take a version that has a wheel",
        ),
        (
            "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
            "its build wants the network",
            "builds have none: what they fetch is in no lock; take a version that has a wheel",
        ),
        (
            "ModuleNotFoundError: No module named 'numpy'",
            "its build imports numpy, which it does not ask for",
            "it cannot be added yet; older tools may bring it: bound them in [pip] build-constraints",
        ),
        ("something\nRuntimeError: bad luck: 7\nmore", "RuntimeError: bad luck: 7", None),
        ("", "exit status 1", None),
    ],
)
def test_the_likely_reason_is_told(said: str, reason: str, hint: str | None) -> None:
    error = build_failed("demo 1.0", JobRefusedError("exit status 1", detail=said))

    assert error.message == f"`demo 1.0` cannot be built from source: {reason}"
    assert error.hint == hint


def test_only_the_last_lines_are_shown() -> None:
    said = "\n".join(f"line {number}" for number in range(1000))

    error = build_failed("demo 1.0", JobRefusedError("exit status 1", detail=said))

    assert error.detail is not None
    assert error.detail.splitlines()[0] == f"line {1000 - LAST_LINES}"
