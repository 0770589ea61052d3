"""System files a base is described by."""

import pytest

from envbuild.lock.model import OsRelease
from envbuild.resolve.base.system_files import (
    keyring_paths,
    musl_version,
    parse_os_release,
    parse_passwd,
    parse_path_filters,
    parse_status,
    upstream_version,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            (
                'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\n'
                "VERSION_CODENAME=bookworm\nID=debian\n"
            ),
            OsRelease(
                id="debian",
                version_id="12",
                codename="bookworm",
                pretty_name="Debian GNU/Linux 12 (bookworm)",
            ),
        ),
        ("", OsRelease(id="linux", pretty_name="Linux")),
        ("# ID=no\nID='a'\r\n\nnonsense\nVERSION_ID=\n", OsRelease(id="a", pretty_name="Linux")),
        ('ID=x\nPRETTY_NAME="a \\"b\\" \\$c"\n', OsRelease(id="x", pretty_name='a "b" $c')),
        ('ID=x\nPRETTY_NAME="never closed\n', OsRelease(id="x", pretty_name='"never closed')),
    ],
)
def test_os_release(text: str, expected: OsRelease) -> None:
    assert parse_os_release(text) == expected


def test_users_are_root_and_those_above_the_systems() -> None:
    text = (
        "root:x:0:0:root:/root:/bin/bash\n"
        "daemon:x:1:1::/:/bin/sh\n"
        "nobody:x:65534:65534::/:/bin/sh\n"
        "ubuntu:x:1000:1001:,,,:/home/ubuntu:/bin/bash\n"
        "almost:x:999:1000::/:/bin/sh\n"
        "broken:x:1002\n"
        "worse:x:y:z::/:/bin/sh\n"
        "+::::::\n"
        "app:x:70000:0::/:/bin/sh\n"
    )

    assert parse_passwd(text) == {"app": "70000:0", "root": "0:0", "ubuntu": "1000:1001"}
    assert list(parse_passwd(text)) == ["app", "root", "ubuntu"]


def test_status_lists_what_is_installed() -> None:
    text = (
        "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13.dfsg-1\n"
        "Description: x\n .\n Package: not a field\n\n"
        "Package: held\nStatus: hold ok installed\nArchitecture: all\nVersion: 1\n\n"
        "Package: waiting\nStatus: install ok triggers-pending\nArchitecture: all\nVersion: 1\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
        "Package: half\nStatus: install reinstreq half-installed\nArchitecture: all\nVersion: 1\n\n"
        "Package: never\nStatus: unknown ok not-installed\nArchitecture: all\n\n"
        "Package: distroless\nArchitecture: amd64\nVersion: 2\n"
    )

    assert [deb.key for deb in parse_status(text)] == [
        "distroless=2:amd64",
        "held=1:all",
        "waiting=1:all",
        "zlib1g=1:1.2.13.dfsg-1:amd64",
    ]


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("3.11.2-6+deb12u3", "3.11.2"),
        ("1:2.36-9", "2.36"),
        ("3.11.2", "3.11.2"),
        ("2.39-0ubuntu8.3", "2.39"),
        ("3.13.0~rc2-1", "3.13.0"),
        ("git20240101", None),
    ],
)
def test_upstream_version(version: str, upstream: str | None) -> None:
    assert upstream_version(version) == upstream


def test_path_filters_keep_their_order() -> None:
    texts = {
        "a": "# path-exclude=/no\npath-exclude=/usr/share/man/*\npath-include /usr/share/man/man1/*\nlog x\n",
        "b": '  path-exclude = "/usr/share/doc/*"  \npath-excluded=/no\n',
    }

    assert parse_path_filters(texts) == ("-/usr/share/man/*", "+/usr/share/man/man1/*", "-/usr/share/doc/*")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("deb [signed-by=/etc/keys/a.gpg arch=amd64] http://mirror.example.com s main", ("/etc/keys/a.gpg",)),
        ("deb [arch=amd64 Signed-By=/b.asc,/a.asc] http://mirror.example.com s main", ("/a.asc", "/b.asc")),
        ("Types: deb\nSigned-By: /usr/share/keyrings/x.gpg\n", ("/usr/share/keyrings/x.gpg",)),
        ("Types: deb\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n", ()),
        ("deb http://mirror.example.com s main", ()),
    ],
)
def test_keyrings_named_by_sources(text: str, paths: tuple[str, ...]) -> None:
    assert keyring_paths(text) == paths


def test_musl_version() -> None:
    text = "C:Q1x=\nP:musl-utils\nV:1.9.9-r0\n\nC:Q1y=\nP:musl\nV:1.2.4_git20230717-r4\nA:x86_64\n"

    assert musl_version(text) == "1.2"
    assert musl_version("P:busybox\nV:1.36.1\n") is None
