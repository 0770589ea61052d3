"""Texts are what apt 2.6 and 3.0 print; test_archives.py has the real programs say most of them."""

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.failures import LINES_SHOWN, shortened, update_error

WORLD = AptArchives(name="debian:bookworm", architecture="amd64", sources=())


@pytest.mark.parametrize(
    ("errors", "kind", "message"),
    [
        (
            (
                "W: GPG error: http://mirror.example.com x InRelease: The following signatures "
                "couldn't be verified because the public key is not available: NO_PUBKEY 0E98404D386FA1D9\n"
                "E: The repository 'http://mirror.example.com x InRelease' is not signed."
            ),
            IntegrityError,
            "an archive of debian:bookworm is not signed by a key that is known here",
        ),
        (
            (
                "E: OpenPGP signature verification failed: http://mirror.example.com x InRelease: "
                "Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key 4CB5, "
                "which is needed to verify signature."
            ),
            IntegrityError,
            "an archive of debian:bookworm is not signed by a key that is known here",
        ),
        (
            (
                "E: Release file for http://mirror.example.com/dists/x/InRelease is expired "
                "(invalid since 2d 3h). Updates for this repository will not be applied."
            ),
            NetworkError,
            "the package lists of debian:bookworm are out of date",
        ),
        (
            "E: Failed to fetch http://mirror.example.com/Packages.xz  Hash Sum mismatch",
            IntegrityError,
            "the package lists of debian:bookworm do not match what the archive signed",
        ),
        (
            "E: The repository 'http://mirror.example.com x Release' does not have a Release file.",
            NotFoundError,
            "an archive of debian:bookworm is not at the address it is looked for",
        ),
        (
            "E: Failed to fetch http://mirror.example.com/InRelease  Temporary failure resolving 'mirror'",
            NetworkError,
            "cannot reach the archives of debian:bookworm",
        ),
    ],
)
def test_kind_of_failure(errors: str, kind: type[EnvbuildError], message: str) -> None:
    error = update_error(errors, WORLD)

    assert type(error) is kind
    assert str(error) == message
    assert error.hint


def test_only_errors_are_shown_each_once_without_credentials() -> None:
    text = "W: warned\nE: Failed to fetch http://user:secret@mirror.example.com/x\n" * 2

    assert shortened(text) == "Failed to fetch http://mirror.example.com/x"


def test_long_texts_are_cut() -> None:
    text = "\n".join(f"E: {number}" for number in range(20))

    lines = shortened(text).splitlines()

    assert len(lines) == LINES_SHOWN + 1
    assert lines[-1] == "… and 8 more lines"


def test_without_error_lines_everything_is_shown() -> None:
    assert shortened("something\n\nelse\n") == "something\nelse"
