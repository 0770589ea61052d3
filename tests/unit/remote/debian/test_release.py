from datetime import UTC, datetime, timedelta

import pytest

from envbuild.errors import IntegrityError
from envbuild.remote.debian.release import ReleaseDateError, parse_release, require_current

DIGEST = "a" * 64
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RELEASE = f"""\
Suite: oldstable
Codename: rig
Date: Sun, 01 Nov 2026 12:00:00 UTC
Valid-Until: Sun, 08 Nov 2026 12:00:00 UTC
Acquire-By-Hash: yes
Architectures: all amd64
No-Support-for-Architecture-all: Packages
MD5Sum:
 00000000000000000000000000000000 5 main/binary-amd64/Packages
SHA256:
 {DIGEST} 5 main/binary-amd64/Packages
 {DIGEST} 7 ./Packages.xz
 {DIGEST} 5 ../outside
 {DIGEST} 5 /outside
 {DIGEST} many main/x
 {DIGEST} 99999999999 main/large
 short 5 main/y
"""


def test_what_a_release_file_says() -> None:
    release = parse_release(RELEASE)

    assert release.names == {"oldstable", "rig"}
    assert release.date == NOW
    assert release.has_hash_names
    assert not release.lists_of_all
    assert {path: file.size for path, file in release.files.items()} == {
        "main/binary-amd64/Packages": 5,
        "Packages.xz": 7,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date: Sun, 01 Nov 2026 12:00:00 UTC\n", "lists no files by SHA-256"),
        ("", "lists no files by SHA-256"),
        (RELEASE.replace("Sun, 01 Nov 2026 12:00:00 UTC", "once"), "a date that cannot be read"),
    ],
)
def test_files_that_are_none(text: str, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        parse_release(text)


@pytest.mark.parametrize(
    ("options", "now", "is_current"),
    [
        ({}, NOW, True),
        ({}, NOW + timedelta(days=8), False),
        ({"Check-Valid-Until": "no"}, NOW + timedelta(days=8), True),
        ({}, NOW - timedelta(minutes=1), False),
        ({"Check-Date": "no"}, NOW - timedelta(minutes=1), True),
        ({"Date-Max-Future": "120"}, NOW - timedelta(minutes=1), True),
        ({"Valid-Until-Max": "60"}, NOW + timedelta(minutes=2), False),
        ({"Valid-Until-Min": "864000"}, NOW + timedelta(days=8), True),
    ],
)
def test_dates(options: dict[str, str], now: datetime, is_current: bool) -> None:
    release = parse_release(RELEASE)

    if is_current:
        require_current(release, options, now=now)
    else:
        with pytest.raises(ReleaseDateError):
            require_current(release, options, now=now)
