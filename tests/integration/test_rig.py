"""The rig is what other tests take for the world, so it is tested with real clients."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests

from tests.rig.archive import DebianArchive, make_deb
from tests.rig.bases import DELETED_FILE, EMPTIED_FOLDER, PushedImage, debian_base, push_base
from tests.rig.index import IndexFaults, PackageIndex, make_sdist, make_wheel
from tests.rig.registry import Registry
from tests.rig.web import ALWAYS

pytestmark = pytest.mark.slow

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's apt and dpkg")


def run(
    *command: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# --- Python index -------------------------------------------------------------------------------


def pip_download(index_url: str, into: Path, *requirements: str) -> subprocess.CompletedProcess[str]:
    # Nothing of the machine's own configuration may answer instead.
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--index-url", index_url, "--dest", into)
    return run(*pip, *requirements, environment=settings)


def test_wheel_is_deterministic_and_its_record_complete(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    arguments = {"requires": ("idna>=3",), "extras": {"fast": ("numpy; python_version > '3'",)}}

    first = make_wheel(tmp_path, "Demo.Pkg", "1.0", **arguments)  # type: ignore[arg-type]
    second = make_wheel(tmp_path / "again", "Demo.Pkg", "1.0", **arguments)  # type: ignore[arg-type]

    assert first.name == "demo_pkg-1.0-py3-none-any.whl"
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as wheel:
        record = wheel.read("demo_pkg-1.0.dist-info/RECORD").decode()
        metadata = wheel.read("demo_pkg-1.0.dist-info/METADATA").decode()
        assert [line.split(",")[0] for line in record.splitlines()] == wheel.namelist()
    assert "Requires-Dist: numpy ; (python_version > '3') and extra == \"fast\"\n" in metadata


def test_pip_resolves_from_the_index(package_index: PackageIndex, tmp_path: Path) -> None:
    make_wheel(package_index.folder, "demo", "1.0", requires=("helper>=2",))
    make_wheel(package_index.folder, "helper", "1.0")
    make_wheel(package_index.folder, "helper", "2.1")
    make_wheel(package_index.folder, "helper", "9.0", requires_python=">=4")

    done = pip_download(package_index.index_url, tmp_path / "got", "demo")

    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "got").iterdir()) == [
        "demo-1.0-py3-none-any.whl",
        "helper-2.1-py3-none-any.whl",
    ]


@pytest.mark.parametrize("html_only", [False, True], ids=["json", "html"])
@pytest.mark.parametrize("metadata_files", [False, True], ids=["ranges", "pep658"])
def test_uv_locks_from_the_index(tmp_path: Path, html_only: bool, metadata_files: bool) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("no uv beside this Python")
    make_wheel(tmp_path, "demo", "1.0", requires=("helper",))
    helper = make_wheel(tmp_path, "helper", "2.1")
    (tmp_path / "demo.in").write_text("demo\n")
    faults = IndexFaults(html_only=html_only)

    with PackageIndex(tmp_path, faults=faults, metadata_files=metadata_files) as index:
        compile_ = (uv, "pip", "compile", "--generate-hashes", "--no-cache", "--no-config", "--no-header")
        done = run(*compile_, "--default-index", index.index_url, tmp_path / "demo.in")

    assert done.returncode == 0, done.stderr
    assert "helper==2.1" in done.stdout
    assert run("sha256sum", helper).stdout.split()[0] in done.stdout


def test_index_lists_what_it_was_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", requires_python=">=3.9")
    source = make_sdist(tmp_path, "demo", "0.9")

    with PackageIndex(
        tmp_path,
        faults=IndexFaults(without_hash={source.name}),
        uploaded={wheel.name: "2026-02-03T04:05:06Z"},
        yanked={source.name: "broken"},
    ) as index:
        page = requests.get(f"{index.index_url}demo/", headers=JSON, timeout=10).json()
        text = requests.get(f"{index.index_url}demo/", timeout=10).text
        missing = requests.get(f"{index.index_url}other/", timeout=10).status_code

    built, sdist = sorted(page["files"], key=lambda file: file["filename"], reverse=False)
    assert (built["filename"], sdist["filename"]) == (source.name, wheel.name)
    assert (built["hashes"], built["yanked"]) == ({}, "broken")
    assert sdist["upload-time"] == "2026-02-03T04:05:06Z"
    assert sdist["requires-python"] == ">=3.9"
    assert sdist["size"] == wheel.stat().st_size
    assert f'#sha256={sdist["hashes"]["sha256"]}" data-requires-python="&gt;=3.9">{wheel.name}</a>' in text
    assert missing == 404


def test_corrupt_file_fails_pips_hash_check(package_index: PackageIndex, tmp_path: Path) -> None:
    wheel = make_wheel(package_index.folder, "demo", "1.0")
    package_index.faults.corrupt.add(wheel.name)

    done = pip_download(package_index.index_url, tmp_path / "got", "demo")

    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


def test_unavailable_file_comes_back(package_index: PackageIndex) -> None:
    wheel = make_wheel(package_index.folder, "demo", "1.0")
    package_index.faults.unavailable[wheel.name] = 2
    address = f"{package_index.url}/files/{wheel.name}"

    answers = [requests.get(address, timeout=10).status_code for _ in range(3)]

    assert answers == [503, 503, 200]
    assert package_index.requested(wheel.name) == 3


def test_dropped_connection_ends_in_the_middle(package_index: PackageIndex) -> None:
    wheel = make_wheel(package_index.folder, "demo", "1.0")
    package_index.faults.drop[wheel.name] = ALWAYS
    address = f"{package_index.url}/files/{wheel.name}"

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        requests.get(address, timeout=10)


@pytest.mark.parametrize(
    ("span", "status", "expected"),
    [
        pytest.param("bytes=0-3", 206, b"0123", id="first"),
        pytest.param("bytes=4-", 206, b"456789", id="rest"),
        pytest.param("bytes=-2", 206, b"89", id="last"),
        pytest.param("bytes=8-99", 206, b"89", id="beyond-the-end"),
        pytest.param("bytes=10-", 416, b"", id="after-the-end"),
        pytest.param("bytes=0-1,4-5", 200, b"0123456789", id="several-ranges"),
    ],
)
def test_ranges(package_index: PackageIndex, span: str, status: int, expected: bytes) -> None:
    (package_index.folder / "digits-1.tar.gz").write_bytes(b"0123456789")
    address = f"{package_index.url}/files/digits-1.tar.gz"

    answer = requests.get(address, headers={"Range": span, "Accept-Encoding": "identity"}, timeout=10)

    assert (answer.status_code, answer.content) == (status, expected)


def test_guarded_index_wants_its_credentials(tmp_path: Path) -> None:
    make_wheel(tmp_path, "demo", "1.0")
    with PackageIndex(tmp_path, auth=("user", "secret")) as index:
        without = requests.get(index.index_url, timeout=10)
        with_them = requests.get(index.index_url, auth=("user", "secret"), timeout=10)
    assert (without.status_code, with_them.status_code) == (401, 200)


# --- Debian archive -----------------------------------------------------------------------------


def apt(archive: DebianArchive, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get with no state, no sources and no configuration but the archive."""
    for folder in ("lists/partial", "cache/archives/partial", "etc"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    (work / "etc/sources.list").write_text(archive.source + "\n")
    options = {
        "Dir::State::lists": "lists",
        "Dir::State::status": "status",
        "Dir::Cache": "cache",
        "Dir::Etc": "etc",
    }
    settings = [f"-o={name}={work / path}" for name, path in options.items()]
    more = ("-o=APT::Architecture=amd64", "-o=APT::Sandbox::User=root", "-o=Acquire::Retries=0")
    return run("apt-get", *settings, *more, *arguments, environment={"APT_CONFIG": os.devnull, "LC_ALL": "C"})


@needs_apt
def test_apt_resolves_from_the_archive(debian_archive: DebianArchive, tmp_path: Path) -> None:
    make_deb(debian_archive.folder, "demo", "1:1.0-1", architecture="amd64", depends="libdemo (>= 2)")
    make_deb(debian_archive.folder, "libdemo", "1.9")
    make_deb(debian_archive.folder, "libdemo", "2.0", files={"usr/share/libdemo": "content\n"})

    updated = apt(debian_archive, tmp_path, "update")
    planned = apt(debian_archive, tmp_path, "install", "--simulate", "--quiet", "demo")

    assert updated.returncode == 0, updated.stderr
    assert [line for line in planned.stdout.splitlines() if line.startswith("Inst ")] == [
        "Inst libdemo (2.0 rig [all])",
        "Inst demo (1:1.0-1 rig [amd64])",
    ]


@needs_apt
def test_apt_refuses_a_corrupt_package(debian_archive: DebianArchive, tmp_path: Path) -> None:
    deb = make_deb(debian_archive.folder, "demo", "1.0")
    debian_archive.faults.corrupt.add(deb.name)
    apt(debian_archive, tmp_path, "update")

    done = apt(debian_archive, tmp_path, "install", "--download-only", "--yes", "demo")

    assert done.returncode == 100
    assert "Hash Sum mismatch" in done.stderr


@needs_apt
def test_deb_is_deterministic(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = (
        make_deb(folder, "demo", "1.0", files={"etc/demo": "x"}, postinst="#!/bin/sh\n")
        for folder in (tmp_path, tmp_path / "again")
    )
    assert first.read_bytes() == second.read_bytes()
    assert "-rw-r--r-- root/root" in run("dpkg-deb", "--contents", first).stdout


# --- registry and bases -------------------------------------------------------------------------


@pytest.mark.network
def test_layers_hold_what_a_lookup_needs() -> None:
    system, library, last = (layer.path for layer in debian_base().layers)

    def names(path: Path) -> set[str]:
        with tarfile.open(path) as archive:
            return set(archive.getnames())

    assert {"var/lib/dpkg/status", "usr/bin/python3", "lib", DELETED_FILE} <= names(system)
    assert not {name for name in names(system) if name.startswith("usr/lib/python3")}
    assert "usr/lib/python3.11/os.py" in names(library)
    assert {"etc/.wh.issue", "etc/skel/.wh..wh..opq"} <= names(last)


@pytest.mark.network
@pytest.mark.parametrize("media", ["oci", "docker"])
def test_index_names_a_manifest_for_each_architecture(registry: Registry, media: str) -> None:
    pushed = push_base(
        debian_base(),
        registry,
        f"index/{media}",
        "1",
        media="oci" if media == "oci" else "docker",
        architectures=("amd64", "arm64"),
    )

    repository = f"{registry.url}/v2/index/{media}"
    # A registry flattens a Docker list for whoever does not name its type.
    types = (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
    index = requests.get(f"{repository}/manifests/1", headers={"Accept": ", ".join(types)}, timeout=10)
    found = {}
    for entry in index.json()["manifests"]:
        manifest = requests.get(
            f"{repository}/manifests/{entry['digest']}", headers={"Accept": entry["mediaType"]}, timeout=10
        ).json()
        config = requests.get(f"{repository}/blobs/{manifest['config']['digest']}", timeout=10).json()
        found[f"linux/{config['architecture']}"] = entry["digest"]

    assert index.headers["Docker-Content-Digest"] == pushed.digest
    assert found == pushed.manifests


@pytest.mark.network
def test_guarded_registry_wants_its_credentials(guarded_registry: Registry) -> None:
    address = f"{guarded_registry.url}/v2/"
    without = requests.get(address, timeout=10)
    with_them = requests.get(address, auth=guarded_registry.auth, timeout=10)
    assert (without.status_code, with_them.status_code) == (401, 200)


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.usefixtures("engine_host")
@pytest.mark.parametrize("image", ["debian_image", "python_image"])
def test_bases_run_and_make_virtual_environments(image: str, request: pytest.FixtureRequest) -> None:
    pushed: PushedImage = request.getfixturevalue(image)
    script = (
        "set -e; python3.11 -m venv --without-pip /venv; "
        "/venv/bin/python -c 'import bz2, ctypes, lzma, readline, sqlite3, ssl, sys; print(sys.prefix)'; "
        f"test ! -e /{DELETED_FILE}; ls -A /{EMPTIED_FOLDER}; echo $PYTHON_VERSION"
    )

    done = run("docker", "run", "--rm", "--quiet", "--network=none", pushed.pinned, "sh", "-c", script)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["/venv", ".rig", "3.11.2"]


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.usefixtures("engine_host")
def test_python_base_is_like_the_official_one(python_image: PushedImage) -> None:
    script = (
        "command -v python3; dpkg-query --show python3.11-minimal 2>/dev/null; "
        "python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'"
    )
    done = run("docker", "run", "--rm", "--quiet", "--network=none", python_image.pinned, "sh", "-c", script)
    assert done.stdout.split() == ["/usr/local/bin/python3", "/usr/local/lib/python3.11/site-packages"]


BUILD = ("docker", "buildx", "build", "--quiet")


def a_context(folder: Path, base: PushedImage) -> tuple[str | Path, ...]:
    """Return the arguments of a build that copies a file out of a named context."""
    (folder / "wheels").mkdir()
    (folder / "wheels/one").write_text("from the named context\n")
    (folder / "Dockerfile").write_text(
        f"FROM scratch AS wheels\nFROM {base.pinned}\n"
        "RUN --network=none --mount=type=bind,from=wheels,target=/w cp /w/one /one\n"
    )
    return f"--build-context=wheels={folder / 'wheels'}", folder


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.usefixtures("engine_host")
def test_engine_builds_reproducibly_with_named_contexts(debian_image: PushedImage, tmp_path: Path) -> None:
    context = a_context(tmp_path, debian_image)
    archives = [tmp_path / "first.tar", tmp_path / "second.tar"]

    for archive in archives:
        output = f"--output=type=oci,dest={archive},rewrite-timestamp=true"
        again = ("--no-cache", "--provenance=false", output)
        done = run(*BUILD, *again, *context, environment={"SOURCE_DATE_EPOCH": "0"})
        assert done.returncode == 0, done.stderr

    assert archives[0].read_bytes() == archives[1].read_bytes()


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.usefixtures("engine_host")
def test_engine_pushes_to_the_registry(debian_image: PushedImage, registry: Registry, tmp_path: Path) -> None:
    output = f"--output=type=image,name={registry.host}/built:1,push=true"

    done = run(*BUILD, output, *a_context(tmp_path, debian_image))

    assert done.returncode == 0, done.stderr
    assert requests.get(f"{registry.url}/v2/built/tags/list", timeout=10).json()["tags"] == ["1"]
