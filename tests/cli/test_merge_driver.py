"""Locks on two branches, merged by the real git, without the driver and with it."""

from pathlib import Path

import pytest

from envbuild.lock.codec import dumps, loads
from envbuild.lock.model import Lock
from tests.rig.growing import with_wheels
from tests.rig.locks import sample_lock, wheel
from tests.rig.program import Program
from tests.rig.repository import IDENTITY, Repository

pytestmark = pytest.mark.slow

ASKED = ("numpy>=2", "scikit-learn")
BASE = with_wheels(sample_lock(), *(wheel(f"p{number:02}") for number in range(20)))
"""Enough wheels for two additions to be far apart."""


@pytest.fixture
def repository(program: Program, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    asked = BASE.request.variants["default"]
    pip = asked.pip.model_copy(update={"requirements": (*ASKED, *(f"z{n}" for n in range(9)))})
    request = BASE.request.model_copy(update={"variants": {"default": asked.model_copy(update={"pip": pip})}})
    lock = with_wheels(BASE.model_copy(update={"request": request}), *(wheel(f"z{n}") for n in range(9)))
    repository = Repository.of(program, lock)
    repository.commit(lock, *pip.requirements)
    return repository


def locked(repository: Repository) -> Lock:
    return loads(repository.program.lock.read_text())


def grown(repository: Repository, *names: str) -> tuple[Lock, tuple[str, ...]]:
    lock = with_wheels(locked(repository), *(wheel(name) for name in names), asks=names)
    return lock, lock.request.variants["default"].pip.requirements


def branches(repository: Repository, ours: str, theirs: str) -> tuple[set[str], Lock]:
    """Let two branches add a package each, and stand on the first."""
    before = locked(repository)
    mine, others = grown(repository, ours), grown(repository, theirs)
    repository.branch("theirs", others[0], *others[1])
    repository.branch("ours", mine[0], *mine[1])
    return {item.file for item in before.wheels} | {wheel(ours).file, wheel(theirs).file}, before


def holds(repository: Repository, files: set[str], before: Lock) -> None:
    lock = locked(repository)
    assert {item.file for item in lock.wheels} == files
    assert set(before.wheels) < set(lock.wheels)
    answer = repository.program("lock", "--check", "--offline")
    assert (answer.code, answer.stderr) == (0, "envbuild.lock is up to date\n")


def test_additions_apart_from_each_other_merge_as_text(repository: Repository):
    files, before = branches(repository, "aiohttp", "z5a")

    repository.git("merge", "--quiet", "--no-edit", "theirs")

    holds(repository, files, before)


def test_additions_beside_each_other_need_the_driver(repository: Repository):
    files, before = branches(repository, "polars", "pyarrow")
    conflict = repository.git("merge", "--no-edit", "theirs", fails=True)
    assert "CONFLICT (content): Merge conflict in envbuild.lock" in conflict
    repository.git("merge", "--abort")

    answer = repository.program("merge-driver", "install")
    repository.git("merge", "--no-edit", "theirs", fails=True)  # the spec's lines stand beside each other too
    assert "envbuild.lock" not in repository.git("diff", "--name-only", "--diff-filter=U")
    spec = repository.program.spec.read_text().splitlines()
    kept = [line for line in spec if not line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
    repository.program.spec.write_text("\n".join(kept))

    assert answer.stderr == (
        "wrote `envbuild.lock merge=envbuild` into .gitattributes: commit it\n"
        "git merges locks with envbuild in this clone\n"
    )
    holds(repository, files, before)


def test_a_rebase_goes_through_the_driver_too(repository: Repository):
    repository.program("merge-driver", "install")
    repository.commit()
    files, before = branches(repository, "aiohttp", "z5a")

    repository.git("rebase", "--quiet", "theirs")

    holds(repository, files, before)


def test_a_contradiction_is_named_and_left_to_the_person(repository: Repository):
    repository.program("merge-driver", "install")
    repository.commit()
    base = locked(repository)
    repository.branch("theirs", with_wheels(base, wheel("numpy", "2.4.1")))
    repository.branch("ours", with_wheels(base, wheel("numpy", "2.4.0")))

    said = repository.git("merge", "--no-edit", "theirs", fails=True)

    assert "envbuild cannot merge envbuild.lock:" in said
    assert "default on linux/amd64.wheels.numpy: 2.4.0 on one side, 2.4.1 on the other" in said
    assert "<<<<<<< ours" in repository.program.lock.read_text()
    check = repository.program("lock", "--check")
    assert check.code == 4
    assert "it holds an unresolved merge" in check.stderr


def test_a_lock_of_another_format_version_is_left_to_the_person(repository: Repository):
    repository.program("merge-driver", "install")
    repository.commit()
    grow = grown(repository, "polars")[0]
    repository.git("switch", "--quiet", "--create", "theirs")
    repository.program.lock.write_text(
        "version = 3\n" + dumps(locked(repository)).partition("version = 1\n")[2]
    )
    repository.commit()
    repository.branch("ours", grow)

    said = repository.git("merge", "--no-edit", "theirs", fails=True)

    assert "the lock has format version 3; this envbuild reads versions 1 and 2" in said


def test_installing_twice_changes_nothing_and_keeps_what_is_there(repository: Repository):
    attributes = repository.program.folder / ".gitattributes"
    attributes.write_text("*.png binary")

    repository.program("merge-driver", "install")
    answer = repository.program("merge-driver", "install")

    assert attributes.read_text() == "*.png binary\nenvbuild.lock merge=envbuild\n"
    assert answer.stderr == "git merges locks with envbuild in this clone\n"


def test_outside_a_repository(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    answer = program("merge-driver", "install")

    assert (answer.code, answer.stdout) == (1, "")
    assert answer.stderr.startswith("error: git refused\n")
    assert not (program.folder / ".gitattributes").exists()
