import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from envbuild.image.built_image import image_reference_for
from envbuild.lock.model import Lock
from envbuild.store.store import Store
from tests.rig.archive import DebianArchive, make_deb
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.locks import sample_lock
from tests.rig.program import Program

BASH = "bash_5.2.15-2+b9_amd64.deb"
JOBLIB = "joblib-1.5.2-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Servers of everything in the lock of `program`."""

    program: Program
    index: PackageIndex
    archive: DebianArchive


@pytest.fixture
def mirrors(
    program: Program,
    package_index: PackageIndex,
    debian_archive: DebianArchive,
    monkeypatch: pytest.MonkeyPatch,
) -> Mirrors:
    """Serve files under the names of the sample lock, and lock their digests.

    The archive has a name of its own: no mirror this machine is configured with is asked for it.
    """
    monkeypatch.setenv("PIP_INDEX_URL", package_index.index_url)
    monkeypatch.setenv("ENVBUILD_APT_MIRROR_RIG", debian_archive.url.replace("://", "://reader:s3cret@"))
    program.has(_served(sample_lock(), package_index.folder, debian_archive.folder))
    return Mirrors(program, package_index, debian_archive)


def test_a_rendered_folder_comes_with_the_command_that_builds_it(mirrors: Mirrors):
    answer = mirrors.program("render", "-o", "to build")

    word, *words = answer.stdout.rstrip("\n").split(" ")
    assert (answer.code, word) == (0, "docker")
    assert f"RIG_URL={mirrors.archive.url}" in words
    assert f"WHEELS_URL={mirrors.index.url}" in words
    assert answer.stdout.endswith(" 'to build'\n")
    assert answer.stderr == "  fetching artifacts\nwrote to build; build it with:\n\n"
    assert {path.name for path in Path("to build").iterdir()} == {
        "Dockerfile", "envbuild", "recipe", "seed.tar",
    }  # fmt: skip


def test_a_rendered_folder_as_json(mirrors: Mirrors):
    answer = mirrors.program("render", "-o", "out", "--json", "--quiet")

    document = json.loads(answer.stdout)
    assert (answer.code, answer.stderr) == (0, "")
    assert document["folder"] == document["command"][-1] == "out"
    assert document["target"].startswith("sha256:")
    assert "s3cret" not in answer.stdout


def test_a_mirror_with_wrong_bytes_is_refused(mirrors: Mirrors, tmp_path: Path):
    mirrors.archive.faults.corrupt.add(BASH)

    answer = mirrors.program("render", "-o", "out")

    expected = sha256_bytes((mirrors.archive.folder / BASH).read_bytes())
    said = answer.stderr.splitlines()
    assert (answer.code, answer.stdout) == (10, "")
    assert said[:2] == ["  fetching artifacts", f"error: `{BASH}` cannot be had as it was locked"]
    assert said[2].startswith(
        f"  • `{BASH}` from {mirrors.archive.url}/pool/{BASH} is not the locked file: "
        f"sha256 expected {expected}, got "
    )
    assert said[3] == ""
    assert said[4] == (
        "hint: do not use such a mirror before you know why; if the file was replaced on purpose, "
        "lock bash again with --upgrade-package"
    )
    assert said[5:] == []
    assert not Store(tmp_path / "cache").place_of(expected).exists()


def test_offline_names_what_the_cache_lacks(mirrors: Mirrors):
    answer = mirrors.program("render", "-o", "out", "--offline")

    said = answer.stderr.splitlines()
    assert (answer.code, answer.stdout) == (9, "")
    assert said[1] == "error: 4 artifacts are missing and --offline forbids fetching"
    assert [line.partition(":")[0] for line in said[2:6]] == [
        "  • base-files_12.4+deb12u12_amd64.deb",
        f"  • {BASH}",
        "  • libc6_2.36-9+deb12u13_amd64.deb",
        "  • mawk_1.3.4_amd64.deb",
    ]
    assert said[-1] == (
        "hint: run once without --offline, or put the files into a folder named by ENVBUILD_VENDOR_DIR"
    )
    assert mirrors.archive.requests == []


def test_offline_uses_the_cache(mirrors: Mirrors):
    assert mirrors.program("render", "-o", "first").code == 0
    asked = len(mirrors.archive.requests)

    answer = mirrors.program("render", "-o", "second", "--offline")

    assert answer.code == 0
    assert len(mirrors.archive.requests) == asked
    assert Path("first/seed.tar").read_bytes() == Path("second/seed.tar").read_bytes()


@pytest.mark.engine
@pytest.mark.parametrize(("command", "code"), [(("build",), 10), (("run", "--", "true"), 125)])
def test_nothing_is_built_of_a_wheel_with_wrong_bytes(
    mirrors: Mirrors,
    engine_host: str,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    code: int,
):
    monkeypatch.setenv("DOCKER_HOST", engine_host)
    mirrors.index.faults.corrupt.add(JOBLIB)

    answer = mirrors.program(*command)

    said = [line for line in answer.stderr.splitlines() if not line.startswith("  fetching")]
    assert (answer.code, answer.stdout) == (code, "")
    assert said[0] == f"error: `{JOBLIB}` cannot be had as it was locked"
    assert said[1].startswith(
        f"  • `{JOBLIB}` from {mirrors.index.url}/files/{JOBLIB} is not the locked file: sha256 expected "
    )


@pytest.mark.engine
def test_an_image_that_was_not_built_cannot_be_verified(
    locked: Program, engine_host: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCKER_HOST", engine_host)

    answer = locked("verify", "--quiet")

    assert (answer.code, answer.stdout) == (6, "")
    lock = sample_lock()
    reference = image_reference_for(lock, lock.targets[0])
    assert answer.stderr == f"error: the engine has no image {reference}\n\nhint: run `envbuild build`\n"


def _served(lock: Lock, wheels: Path, debs: Path) -> Lock:
    """Make each artifact of `lock` and return the lock of those."""

    def facts(path: Path, where: str) -> dict[str, object]:
        content = path.read_bytes()
        return {"size": len(content), "sha256": sha256_bytes(content), "path": f"{where}/{path.name}"}

    return lock.model_copy(
        update={
            "debs": tuple(
                deb.model_copy(
                    update={
                        "archive": "rig",
                        **facts(make_deb(debs, deb.name, deb.version, architecture="amd64"), "pool"),
                    }
                )
                for deb in lock.debs
            ),
            "wheels": tuple(
                wheel.model_copy(update=facts(make_wheel(wheels, wheel.name, wheel.version), "files"))
                for wheel in lock.wheels
            ),
        }
    )
