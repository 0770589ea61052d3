"""From a reference to a base: whole images in a registry on the loopback interface."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError, NotFoundError, SpecError
from envbuild.formats.tar_reader import LayerError
from envbuild.lock.model import Libc
from envbuild.platforms import AMD64, ARM64
from envbuild.remote.registry.client import RegistryClient
from envbuild.resolve.base.image import ImageBaseFacts, read_image_base
from tests.rig.layer_items import (
    ELF,
    Item,
    emptied,
    file,
    layer_of,
    link,
    removed,
    tar_of,
    zstd,
)
from tests.rig.loopback_registry import FakeRegistry, digest_of, loopback_registry
from tests.rig.progress import RecordedProgress

PATH = "PATH=/usr/local/bin:/usr/bin:/bin"
STATUS = (
    "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\n\n"
    "Package: apt\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.6.1\n"
)
DEBIAN = [
    link("bin", "usr/bin"),
    link("lib", "usr/lib"),
    link("etc/os-release", "../usr/lib/os-release"),
    file(
        "usr/lib/os-release",
        'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n',
    ),
    file("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n"),
    file("var/lib/dpkg/status", STATUS),
    file("var/lib/dpkg/arch", "amd64\ni386\n"),
    file("usr/bin/dpkg", ELF),
    file("etc/apt/sources.list", "# none\n"),
    file("etc/apt/sources.list.d/debian.sources", "Types: deb\nSigned-By: /srv/keys/own.gpg\n"),
    file("etc/apt/sources.list.d/old.list.save", "deb x"),
    file("etc/apt/trusted.gpg.d/debian.asc", b"\x99key"),
    file("etc/apt/auth.conf.d/secret.conf", "machine mirror.example.com password hunter2"),
    file("etc/apt/preferences.d/pin", "Package: *\n"),
    file("etc/apt/apt.conf.d/01x", 'APT::X "1";\n'),
    file("srv/keys/own.gpg", b"\x99own"),
    file("usr/share/keyrings/readme.txt", "no key"),
    file("etc/dpkg/dpkg.cfg", "path-include=/usr/share/doc/keep/*\n"),
    file("etc/dpkg/dpkg.cfg.d/docker", "path-exclude=/usr/share/doc/*\n"),
    file("etc/dpkg/dpkg.cfg.d/ignored.by-dpkg", "path-exclude=/no\n"),
]
PYTHON = [
    file("usr/local/bin/python3.11", ELF + b" 3.11.9\0"),
    link("usr/local/bin/python3", "python3.11"),
]


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with loopback_registry() as running:
        yield running


Read = Callable[..., ImageBaseFacts]


@pytest.fixture
def read(fake: FakeRegistry, tmp_path: Path) -> Read:
    """Return a function that reads the image `base:1`."""

    def read_base(python: str | None = "3.11", **more: object) -> ImageBaseFacts:
        registry = RegistryClient(environment={}, sleep=lambda _: None)
        arguments: dict[str, object] = {"registry": registry, "cache": tmp_path / "cache", **more}
        platform = arguments.pop("platform", AMD64)
        return read_image_base(f"{fake.host}/base:1", platform, python, **arguments)  # type: ignore[arg-type]

    return read_base


def put(fake: FakeRegistry, *layers: list[Item] | bytes, config: Mapping[str, object] | None = None) -> str:
    """Store an image as `base:1` and return the digest of its manifest."""
    packed = tuple(layer if isinstance(layer, bytes) else layer_of(*layer) for layer in layers)
    return fake.put_image(
        "base", "1", packed, config=config or {"config": {"Env": [PATH]}, "created": "2024-01-02T03:04:05.6Z"}
    )


def test_debian_image_is_read_completely(fake: FakeRegistry, read: Read) -> None:
    manifest = put(fake, DEBIAN, PYTHON)

    facts = read()

    base = facts.base
    assert base.key == f"{fake.host}/base:1 linux/amd64"
    assert base.image is not None
    assert (base.image.reference, base.image.digest) == (f"{fake.host}/base:1", manifest)
    assert base.image.layers == (digest_of(layer_of(*DEBIAN)), digest_of(layer_of(*PYTHON)))
    assert base.created.isoformat() == "2024-01-02T03:04:05+00:00"
    assert (base.os.id, base.os.codename, base.os.version_id) == ("debian", "bookworm", "12")
    assert base.libc == Libc(family="glibc", version="2.36")
    assert base.env == {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    assert base.users == {"root": "0:0"}
    assert base.debs == ("apt=2.6.1:amd64", "libc6=2.36-9+deb12u10:amd64")
    assert base.excludes == ("-/usr/share/doc/*", "+/usr/share/doc/keep/*")
    assert facts.interpreter is not None
    assert (facts.interpreter.path, facts.interpreter.version) == ("/usr/local/bin/python3.11", "3.11.9")


def test_no_file_of_a_base_is_newer_than_the_base(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON, config={"config": {"Env": [PATH]}, "created": "2020-01-02T03:04:05Z"})

    assert read().base.created.timestamp() == 1_700_000_000


def test_python_may_be_missing_from_an_image_that_need_not_have_it(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN)

    assert read(needs_python=False).interpreter is None
    with pytest.raises(SpecError, match=r"has no Python 3\.11"):
        read()


def test_what_apt_needs_is_there_and_its_passwords_are_not(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON)

    facts = read()

    assert facts.dpkg_status == STATUS
    assert facts.dpkg_architectures == ("amd64", "i386")
    assert facts.can_install
    assert dict(facts.apt_sources) == {
        "/etc/apt/sources.list": "# none\n",
        "/etc/apt/sources.list.d/debian.sources": "Types: deb\nSigned-By: /srv/keys/own.gpg\n",
    }
    assert dict(facts.apt_keyrings) == {
        "/etc/apt/trusted.gpg.d/debian.asc": b"\x99key",
        "/srv/keys/own.gpg": b"\x99own",
    }
    assert dict(facts.apt_settings) == {
        "/etc/apt/apt.conf.d/01x": 'APT::X "1";\n',
        "/etc/apt/preferences.d/pin": "Package: *\n",
    }
    assert "hunter2" not in repr(facts)


def test_later_layers_change_what_is_read(fake: FakeRegistry, read: Read) -> None:
    upper = [
        emptied("etc/apt/sources.list.d"),
        file("etc/apt/sources.list.d/own.list", "deb http://mirror.example.com s main\n"),
        removed("usr/local/bin/python3.11"),
        file("usr/bin/python3.11", ELF + b" 3.11.2\0"),
        file("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n"),
        removed("etc/apt/trusted.gpg.d"),
    ]
    put(fake, DEBIAN, PYTHON, upper)

    facts = read()

    assert facts.interpreter is not None
    assert facts.interpreter.path == "/usr/bin/python3.11"
    assert facts.base.users == {"app": "1000:1000", "root": "0:0"}
    assert list(facts.apt_sources) == ["/etc/apt/sources.list", "/etc/apt/sources.list.d/own.list"]
    assert list(facts.apt_keyrings) == []


def test_distroless_image_has_packages_but_nothing_to_install_with(fake: FakeRegistry, read: Read) -> None:
    first = "Package: libc6\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\n"
    second = "Package: python3.11-minimal\nArchitecture: amd64\nVersion: 3.11.2-6+deb12u3\n"
    sums = file("var/lib/dpkg/status.d/python3.11-minimal.md5sums", f"{'0' * 32}  usr/bin/python3.11\n")
    items = [
        file("etc/os-release", "ID=debian\nPRETTY_NAME=Distroless\n"),
        file("var/lib/dpkg/status.d/libc6", first),
        file("usr/bin/python3.11", ELF + b" 3.11.2\0"),
    ]
    put(fake, items, [file("var/lib/dpkg/status.d/python3.11-minimal", second), sums])

    facts = read()

    assert facts.base.debs == ("libc6=2.36-9+deb12u10:amd64", "python3.11-minimal=3.11.2-6+deb12u3:amd64")
    assert facts.dpkg_status == f"{first}\n{second}"
    assert not facts.can_install
    assert facts.interpreter is not None
    assert facts.interpreter.provider == "deb python3.11-minimal"


@pytest.mark.parametrize(
    ("items", "libc"),
    [
        pytest.param(
            [link("lib64", "usr/lib64"), file("usr/lib64/libc.so.6", ELF + b"release version 2.34.\n")],
            Libc(family="glibc", version="2.34"),
            id="rpm based",
        ),
        pytest.param(
            [
                link("lib/x86_64-linux-gnu/libc.so.6", "libc-2.31.so"),
                file("lib/x86_64-linux-gnu/libc-2.31.so", ELF + b"stable release version 2.31.\n"),
            ],
            Libc(family="glibc", version="2.31"),
            id="old glibc",
        ),
        pytest.param(
            [file("lib/apk/db/installed", "P:musl\nV:1.2.5-r0\n")],
            Libc(family="musl", version="1.2"),
            id="alpine",
        ),
        pytest.param(
            [link("lib", "usr/lib"), file("usr/lib/apk/db/installed", "P:musl\nV:1.2.5-r0\n")],
            Libc(family="musl", version="1.2"),
            id="alpine, merged",
        ),
        pytest.param(
            [file("lib/ld-musl-x86_64.so.1", ELF + b"\x001.1.24\0")],
            Libc(family="musl", version="1.1"),
            id="musl",
        ),
    ],
)
def test_libc_without_debian_packages(fake: FakeRegistry, read: Read, items: list[Item], libc: Libc) -> None:
    put(fake, items, PYTHON)

    facts = read()

    assert facts.base.libc == libc
    assert (facts.base.debs, facts.dpkg_status, facts.can_install) == ((), "", False)
    assert facts.base.os.id == "linux"


def test_image_without_libc_is_refused(fake: FakeRegistry, read: Read) -> None:
    put(fake, [file("etc/os-release", "ID=x\n")], PYTHON)

    with pytest.raises(SpecError) as caught:
        read()

    assert caught.value.message == (
        f"`{fake.host}/base:1` cannot be used: it has no C library, so no Python can run in it"
    )


def test_missing_python_is_named(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON)

    with pytest.raises(SpecError) as caught:
        read("3.12")

    assert caught.value.message == f"`{fake.host}/base:1` has no Python 3.12"
    assert read(None).interpreter is None


@pytest.mark.parametrize("pack", [lambda data: data, zstd], ids=["plain", "zstd"])
def test_other_compressions(fake: FakeRegistry, read: Read, pack: Callable[[bytes], bytes]) -> None:
    put(fake, pack(tar_of(*DEBIAN)), pack(tar_of(*PYTHON)))

    assert read().base.os.id == "debian"


def test_second_reading_needs_no_layer(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON)
    first = read()
    fake.seen.clear()
    progress = RecordedProgress()

    again = read(progress=progress)

    assert again == first
    layers = {digest_of(layer_of(*items)) for items in (DEBIAN, PYTHON)}
    assert not [path for path in fake.paths("GET") if path.rpartition("/")[2] in layers]
    assert progress.stages == []


def test_layers_are_shared_between_images(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON)
    read()
    fake.seen.clear()
    put(fake, DEBIAN, PYTHON, [file("etc/passwd", "app:x:1000:1000::/:/bin/sh\n")])

    assert read().base.users == {"app": "1000:1000"}
    assert sum(path.startswith("/v2/base/blobs/") for path in fake.paths("GET")) == 2


def test_layer_that_stands_twice_is_read_once(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, [file("x")], PYTHON, [file("x")])

    read()

    assert fake.paths("GET").count(f"/v2/base/blobs/{digest_of(layer_of(file('x')))}") == 1


def test_progress_is_told_in_bytes(fake: FakeRegistry, read: Read) -> None:
    filler = [file("filler", bytes(range(256)) * 8192)]
    put(
        fake,
        [item for item in DEBIAN if "own" not in item.content.decode(errors="replace")],
        PYTHON,
        tar_of(*filler),
    )
    progress = RecordedProgress()

    read(progress=progress)

    assert progress.stages == [f"reading {fake.host}/base:1"]
    done, total = progress.bytes[-1]
    assert done == total > 1 << 21
    assert progress.bytes == sorted(progress.bytes)


def test_foreign_key_file_is_kept_for_the_next_time(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON)
    read()
    progress = RecordedProgress()

    assert read(progress=progress).apt_keyrings["/srv/keys/own.gpg"] == b"\x99own"
    assert progress.stages == []


def test_damaged_layer_is_an_integrity_error_and_leaves_nothing(
    fake: FakeRegistry, read: Read, tmp_path: Path
) -> None:
    put(fake, DEBIAN, PYTHON)
    layer = layer_of(*PYTHON)
    fake.swap[digest_of(layer)] = layer[:40] + bytes(20) + layer[60:]

    with pytest.raises(IntegrityError, match=f"is not {digest_of(layer)[:19]} of"):
        read()

    assert not list((tmp_path / "cache").rglob(f"*{digest_of(layer)[7:]}*"))
    fake.swap.clear()
    assert read().interpreter is not None


def test_layer_that_is_no_archive_is_the_images_fault(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, b"no archive" * 1000)

    with pytest.raises(LayerError) as caught:
        read()

    assert caught.value.message == (
        f"`{fake.host}/base:1` cannot be used: a layer is not a readable tar archive"
    )


def test_missing_layer_is_named(fake: FakeRegistry, read: Read) -> None:
    put(fake, DEBIAN, PYTHON)
    del fake.blobs["base", digest_of(layer_of(*PYTHON))]

    with pytest.raises(NotFoundError, match="has lost sha256:"):
        read()


def test_bad_reference_is_refused_before_anything_is_asked(fake: FakeRegistry, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is not an image reference"):
        read_image_base(
            "Not/A/Reference", ARM64, "3.11", registry=RegistryClient(environment={}), cache=tmp_path
        )
    assert fake.seen == []


def test_digest_of_the_reference_is_not_repeated_in_the_lock(fake: FakeRegistry, tmp_path: Path) -> None:
    digest = put(fake, DEBIAN, PYTHON)

    facts = read_image_base(
        f"{fake.host}/base:1@{digest}",
        AMD64,
        "3.11",
        registry=RegistryClient(environment={}),
        cache=tmp_path,
    )

    assert facts.base.image is not None
    assert (facts.base.image.reference, facts.base.image.digest) == (f"{fake.host}/base:1", digest)
