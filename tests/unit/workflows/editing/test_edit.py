"""Edits of a project on disk: the lock is resolved by doubles, the files are real."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import (
    EnvbuildError,
    LockMissingError,
    LockStaleError,
    NoSolutionError,
    SourcesNeededError,
    SpecError,
    UsageError,
)
from envbuild.files import atomic
from envbuild.resolve.python.backend import Pin
from envbuild.resolve.sources.newer import sources_needed
from envbuild.spec.request import VariantRequest
from envbuild.workflows.editing.add import add_and_lock, add_packages
from envbuild.workflows.editing.edit import Locking, OpenEdit
from envbuild.workflows.editing.options import AddOptions, RemoveOptions, UpgradeOptions, kind_of_flags
from envbuild.workflows.editing.pins import notes_of_pins, without_pin
from envbuild.workflows.editing.remove import remove_and_lock, remove_packages
from envbuild.workflows.editing.result import EditResult
from envbuild.workflows.editing.upgrade import upgrade_and_lock, upgrade_packages
from envbuild.workflows.lock import lock_to_use
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, open_project
from tests.rig.locks import sample_lock, wheel
from tests.rig.program import SPEC
from tests.rig.resolvers import ENVIRONMENT, FakeResolvers


class World(FakeResolvers):
    """Resolvers that have one wheel more for each requirement that the sample lock has not got."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[VariantRequest] = []
        self.error: BaseException | None = None

    def python(self, request: VariantRequest, foundation: Any, *, previous: Any) -> Any:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        known = {item.name for item in ENVIRONMENT}
        names = {Requirement(text).name for text in request.pip.requirements}
        more = tuple(wheel(name) for name in sorted(names - known))
        kept = tuple(item for item in ENVIRONMENT if item.name != "scikit-learn" or "scikit-learn" in names)
        self.wheels = tuple(sorted((*kept, *more), key=lambda item: item.name))
        return super().python(request, foundation, previous=previous)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def locking(world: World, machine: Machine) -> Locking:
    @contextmanager
    def opened(_upgrade: object, _progress: object) -> Iterator[World]:
        yield world

    return Locking(machine=machine, resolvers=opened)


def state(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.folder.iterdir()}


def test_what_is_added_is_in_the_spec_and_in_the_lock(project: Project, locking: Locking):
    result = add_and_lock(project, ["polars>=1", "six"], AddOptions(), locking)

    assert project.spec.read_text() == SPEC.replace('"scikit-learn"', '"scikit-learn", "polars>=1", "six"')
    assert result.lock is not None
    assert result.lock.written
    fresh = lock_to_use(result.project, frozen=False, update=False, command="build", machine=locking.machine)
    assert fresh == result.lock.lock
    assert result.difference is not None
    changes = result.difference.changes.targets[0].packages
    assert [(change.verb, change.name) for change in changes] == [("added", "polars"), ("added", "six")]
    assert (result.files, result.dry_run) == (("envbuild.toml",), False)
    assert "<td>pip.packages</td>" in result._repr_html_()


def test_what_is_removed_is_in_neither(project: Project, locking: Locking):
    result = remove_and_lock(project, ["Scikit.Learn"], RemoveOptions(), locking)

    assert project.spec.read_text() == SPEC.replace(', "scikit-learn"', "")
    assert result.difference is not None
    (change,) = result.difference.changes.targets[0].packages
    assert (change.verb, change.name) == ("removed", "scikit-learn")


ERRORS = [
    NoSolutionError("no solution"),
    SourcesNeededError("sources", packages=("six",)),
    KeyboardInterrupt(),
    OSError(28, "No space left on device"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_stops_the_locking_leaves_every_file_as_it_was(
    project: Project, locking: Locking, world: World, error: BaseException
):
    (project.folder / "requirements.txt").write_text("six\n")
    project.spec.write_text(SPEC.replace("[pip]", '[pip]\nrequirements = ["requirements.txt"]'))
    before = state(project)
    world.error = error

    with pytest.raises(type(error)):
        add_and_lock(project, ["polars"], AddOptions(), locking)
    with pytest.raises(type(error)):
        add_and_lock(project, ["polars"], AddOptions(to="requirements.txt"), locking)
    with pytest.raises(type(error)):
        remove_and_lock(project, ["six", "numpy"], RemoveOptions(), locking)

    assert state(project) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=type)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_stops_the_writing_puts_everything_back(
    project: Project,
    locking: Locking,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    number: int,
):
    (project.folder / "requirements.txt").write_text("six\n")
    project.spec.write_text(SPEC.replace("[pip]", '[pip]\nrequirements = ["requirements.txt"]'))
    before = state(project)
    write, written = atomic.write_bytes, []

    def fails(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
        written.append(path.name)
        if len(written) == number + 1:
            if number % 2:
                write(path, data, mode=mode)
            raise error
        return write(path, data, mode=mode)

    monkeypatch.setattr(atomic, "write_bytes", fails)
    with pytest.raises(type(error)):
        remove_and_lock(project, ["six", "scikit-learn"], RemoveOptions(), locking)

    assert written[: number + 1] == ["requirements.txt", "envbuild.toml", "envbuild.lock"][: number + 1]
    assert state(project) == before


def test_a_lock_that_was_not_there_is_not_there_again(
    project: Project, locking: Locking, monkeypatch: pytest.MonkeyPatch
):
    project.lock.unlink()
    before = state(project)
    write = atomic.write_bytes

    def interrupted(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
        write(path, data, mode=mode)
        if path == project.lock:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(atomic, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        add_and_lock(project, ["polars"], AddOptions(), locking)

    assert state(project) == before


def test_what_somebody_changed_meanwhile_is_not_overwritten(project: Project, locking: Locking, world: World):
    resolve = world.python

    def python(*arguments: Any, **named: Any) -> Any:
        project.spec.write_text(f"{SPEC}# mine\n")
        return resolve(*arguments, **named)

    world.python = python  # type: ignore[method-assign]
    lock = project.lock.read_bytes()

    with pytest.raises(EnvbuildError, match="was changed meanwhile"):
        add_and_lock(project, ["polars"], AddOptions(), locking)

    assert project.spec.read_text() == f"{SPEC}# mine\n"
    assert project.lock.read_bytes() == lock


def test_a_dry_run_says_it_and_writes_nothing(project: Project, locking: Locking):
    before = state(project)

    result = add_and_lock(project, ["polars"], AddOptions(dry_run=True), locking)

    assert state(project) == before
    assert result.document()["difference"]["differs"]
    assert result.document()["dry-run"]


def test_without_a_lock_only_the_spec_is_edited(project: Project, machine: Machine):
    lock = project.lock.read_bytes()

    result = add_packages(project, ["polars"], AddOptions(lock=False), machine=machine)

    assert "polars" in project.spec.read_text()
    assert project.lock.read_bytes() == lock
    assert (result.lock, result.difference) == (None, None)


def test_a_spec_that_would_not_be_right_is_not_written(project: Project, machine: Machine):
    project.spec.write_text(SPEC.replace("[pip]", '[pip]\nrequirements = ["gone.txt"]'))
    before = state(project)

    with pytest.raises(SpecError):
        add_packages(project, ["polars"], AddOptions(lock=False), machine=machine)

    assert state(project) == before


def test_several_problems_are_told_at_once_and_nothing_is_done(
    project: Project, locking: Locking, world: World
):
    before = state(project)

    with pytest.raises(SpecError) as added:
        add_and_lock(project, ["polars", "foo!", "./x"], AddOptions(), locking)
    with pytest.raises(SpecError) as removed:
        remove_and_lock(project, ["numpy", "scikit-lern", "zzz"], RemoveOptions(), locking)

    assert [problem.where for problem in added.value.problems] == ["foo!", "./x"]
    assert [(problem.where, problem.hint) for problem in removed.value.problems] == [
        ("scikit-lern", "did you mean `scikit-learn`?"),
        ("zzz", None),
    ]
    assert world.asked == []
    assert state(project) == before


def test_what_is_only_required_by_others_is_said_so(project: Project, locking: Locking):
    required = next(line for item in sample_lock().wheels for line in item.requires)
    name = required.split(">")[0].split(";")[0].split("<")[0].strip()
    project.spec.write_text(SPEC.replace('"numpy>=2", ', ""))

    with pytest.raises(SpecError) as caught:
        remove_and_lock(project, [name], RemoveOptions(), locking)

    (problem,) = caught.value.problems
    assert "the spec does not ask for it: `" in problem.message
    assert problem.message.endswith("require it") or problem.message.endswith("requires it")


def test_what_stands_elsewhere_is_told_with_the_command(project: Project, locking: Locking):
    project.spec.write_text(f'{SPEC}\n[variants.test.pip]\npackages = ["pytest"]\n')

    with pytest.raises(SpecError) as caught:
        remove_and_lock(project, ["pytest"], RemoveOptions(), locking)
    with pytest.raises(SpecError) as other:
        remove_and_lock(project, ["git"], RemoveOptions(kind="pip"), locking)
    with pytest.raises(SpecError) as shared:
        remove_and_lock(project, ["numpy"], RemoveOptions(variant="test"), locking)

    remove = f"run `envbuild remove -f {project.folder.as_posix()}"
    assert caught.value.problems[0].hint == f"{remove} --variant test pytest`"
    assert other.value.problems[0].hint == f"{remove} --apt git`"
    assert shared.value.problems[0].hint == f"{remove} numpy`"


def test_a_name_of_two_kinds_must_be_chosen(project: Project, locking: Locking):
    project.spec.write_text(SPEC.replace('"scikit-learn"', '"scikit-learn", "git"'))

    with pytest.raises(SpecError) as caught:
        remove_and_lock(project, ["git"], RemoveOptions(), locking)
    assert caught.value.problems[0].hint == "choose with `--pip` or `--apt`"

    remove_and_lock(project, ["git"], RemoveOptions(kind="pip"), locking)
    assert project.spec.read_text() == SPEC


def test_a_variant_that_is_not_there(project: Project, locking: Locking):
    project.spec.write_text(f"{SPEC}\n[variants.test]\n")

    with pytest.raises(UsageError) as caught:
        add_and_lock(project, ["six"], AddOptions(variant="tset"), locking)

    assert caught.value.hint == "did you mean `test`?"
    add_and_lock(project, ["six"], AddOptions(variant="test"), locking)
    add_and_lock(Project(project.spec), ["toml"], AddOptions(variant="default"), locking)
    text = SPEC.replace('"scikit-learn"', '"scikit-learn", "toml"')
    assert project.spec.read_text() == f'{text}\n[variants.test]\n\n[variants.test.pip]\npackages = ["six"]\n'


def test_an_upgrade_asks_for_the_newest_and_leaves_the_spec(project: Project, locking: Locking, world: World):
    before = project.spec.read_bytes()

    result = upgrade_and_lock(project, ["numpy"], UpgradeOptions(), locking)

    assert world.requests
    assert project.spec.read_bytes() == before
    assert result.lock is not None
    assert not result.lock.written
    with pytest.raises(UsageError) as caught:
        upgrade_and_lock(project, ["nunpy"], UpgradeOptions(), locking)
    assert caught.value.problems[0].hint == "did you mean `numpy`?"


PINNED = """requests[socks]==2.31.0,!=2.32; python_version < '4'"""
FREED = """'requests[socks]!=2.32; python_version < "4"'"""


def notes_of_upgrade(project: Project, locking: Locking, names: list[str]) -> tuple[str, ...]:
    project.lock.unlink(missing_ok=True)
    return upgrade_and_lock(project, names, UpgradeOptions(dry_run=True), locking).notes


def typed(note: str, locking: Locking) -> EditResult:
    """Do what the `add` of a note says."""
    command = note.partition("to move it: ")[2].partition(", then ")[0]
    _, verb, _, folder, *words = shlex.split(command)
    assert verb == "add"
    package = words.pop()
    given = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    return add_and_lock(open_project(Path(folder)), [package], AddOptions(**given), locking)  # type: ignore[arg-type]


def test_an_upgrade_says_what_the_spec_holds(project: Project, locking: Locking):
    project.spec.write_text(SPEC.replace("numpy>=2", "numpy==2.1.0"))

    notes = notes_of_upgrade(project, locking, ["numpy", "scikit-learn"])

    place = f"-f {project.folder.as_posix()}"
    assert notes == (
        (
            "`numpy==2.1.0` in pip.packages[0] holds numpy; "
            f"to move it: envbuild add {place} numpy, then envbuild upgrade {place} numpy"
        ),
    )


def test_a_pin_in_a_group_is_let_go_of_there(project: Project, locking: Locking):
    file = project.folder / "pyproject.toml"
    text = '[project]\nname = "p"\ndependencies = []\n\n[dependency-groups]\ndev = ["idna==3.6"]\n'
    file.write_text(text)
    project.spec.write_text(SPEC.replace("[pip]", '[pip]\nproject = true\ngroups = ["dev"]'))

    (note,) = notes_of_upgrade(project, locking, ["idna"])

    place = f"-f {project.folder.as_posix()}"
    assert note == (
        "`idna==3.6` in pyproject.toml: dependency-groups.dev[0] holds idna; "
        f"to move it: envbuild add {place} --group dev idna, then envbuild upgrade {place} idna"
    )
    typed(note, locking)
    assert file.read_text() == text.replace("idna==3.6", "idna")
    assert notes_of_upgrade(Project(project.spec), locking, ["idna"]) == ()


def test_a_pin_that_is_let_go_of_keeps_extras_bounds_and_marker(project: Project, locking: Locking):
    project.spec.write_text(SPEC.replace("numpy>=2", PINNED))

    (note,) = notes_of_upgrade(project, locking, ["requests"])

    place = f"-f {project.folder.as_posix()}"
    assert note == (
        f"`{PINNED}` in pip.packages[0] holds requests; "
        f"to move it: envbuild add {place} {FREED}, then envbuild upgrade {place} requests"
    )
    (change,) = typed(note, locking).changes
    assert (change.where, change.new) == ("pip.packages[0]", FREED.strip("'"))


def test_each_of_two_pins_is_let_go_of_in_its_file(project: Project, locking: Locking):
    (project.folder / "a.txt").write_text("numpy==2.1.0\n")
    spec = SPEC.replace("numpy>=2", "numpy==2.1.0").replace("[pip]", '[pip]\nrequirements = ["a.txt"]')
    project.spec.write_text(spec)

    first, second = notes_of_upgrade(project, locking, ["numpy"])

    assert "--to envbuild.toml numpy, then" in first
    assert "--to a.txt numpy, then" in second
    typed(first, locking)
    typed(second, locking)
    assert project.spec.read_text() == spec.replace("numpy==2.1.0", "numpy")
    assert (project.folder / "a.txt").read_text() == "numpy\n"


def test_of_a_pin_in_a_list_that_is_not_edited_there_is_no_command(project: Project, locking: Locking):
    (project.folder / "a.txt").write_text(f"idna==3.6 --hash=sha256:{'0' * 64}\n")
    (project.folder / "environment.yml").write_text("channels: [conda-forge]\ndependencies: [einops ==0.8]\n")
    spec = SPEC.replace("[pip]", '[pip]\nrequirements = ["a.txt"]')
    project.spec.write_text(f'{spec}\n[conda]\nfiles = ["environment.yml"]\n')

    # nothing is locked: the notes are of the spec alone
    notes = tuple(notes_of_pins(OpenEdit(project), ["idna", "einops"]))

    assert notes == (
        "`idna==3.6` in a.txt:1 holds idna; `a.txt` has hashes, which a new line would lack",
        (
            "`einops ==0.8` in environment.yml:2 holds einops; "
            "`einops` stands in `environment.yml`, which is read and not edited"
        ),
    )


@pytest.mark.parametrize(
    ("kind", "text", "free"),
    [
        ("pip", "a==1", "a"),
        ("pip", "a[x]==1; python_version>'3'", 'a[x]; python_version > "3"'),
        ("pip", "a===1", "a"),
        ("pip", "a==1.*", None),
        ("pip", "a>=1", None),
        ("pip", "a @ https://host.example/a-1-py3-none-any.whl", None),
        ("apt", "git=1:2", "git"),
        ("apt", "git", None),
        ("conda", "numpy 2.1", "numpy"),
        ("conda", "conda-forge::numpy 2.1 py311_0", "conda-forge::numpy"),
        ("conda", "numpy =2.1", None),
    ],
)
def test_what_holds_one_version_is_let_go_of(kind: Any, text: str, free: str | None):
    assert without_pin(kind, text) == (free or text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AddOptions(kind="npm"),  # type: ignore[arg-type]
        lambda: AddOptions(kind="apt", group="test"),
        lambda: AddOptions(group="test", to="a.txt"),
        lambda: AddOptions(lock=False, add_builds=True),
        lambda: RemoveOptions(kind="conda", group="test"),
        lambda: RemoveOptions(lock=False, add_builds=True),
        lambda: kind_of_flags(apt=True, conda=True),
    ],
)
def test_options_that_contradict_each_other_are_refused(make: Callable[[], object]):
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize("edit", [add_packages, remove_packages])
def test_nothing_and_one_text_are_no_packages(
    project: Project, machine: Machine, edit: Callable[..., object]
):
    with pytest.raises(UsageError):
        edit(project, [], machine=machine)
    with pytest.raises(UsageError):
        edit(project, "numpy", machine=machine)
    with pytest.raises(UsageError):
        upgrade_packages(project, "numpy", machine=machine)


def test_a_link_a_mode_and_a_mark_stay(project: Project, locking: Locking, tmp_path: Path):
    real = tmp_path / "real.toml"
    real.write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    project.spec.unlink()
    project.spec.symlink_to(real)

    add_and_lock(project, ["six"], AddOptions(), locking)

    assert project.spec.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    text = SPEC.replace('"scikit-learn"', '"scikit-learn", "six"').replace("\n", "\r\n")
    assert real.read_bytes() == b"\xef\xbb\xbf" + text.encode()


def test_a_lock_is_brought_up_to_date_only_when_it_is_told_to(project: Project, machine: Machine):
    def wanted(*, update: bool) -> object:
        return lock_to_use(
            Project(project.spec), frozen=False, update=update, command="build", machine=machine
        )

    assert wanted(update=True) == sample_lock()
    project.spec.write_text(SPEC.replace("seed = 7", "seed = 8"))
    with pytest.raises(LockStaleError) as stale:
        wanted(update=False)
    project.lock.unlink()
    with pytest.raises(LockMissingError) as missing:
        wanted(update=False)

    folder = project.folder.as_posix()
    also = f"run `envbuild lock -f {folder}`, or `envbuild build -f {folder} --lock`"
    assert stale.value.hint == f"{also}, or use the lock as it stands with --frozen"
    assert missing.value.hint == also


@pytest.mark.parametrize(
    ("to", "file"),
    [
        ("a.txt", "a.txt"),
        ("reqs/a.txt", "reqs/a.txt"),
        ("b.txt", "reqs/b.txt"),
        ("../reqs/b.txt", "reqs/b.txt"),
        ("../envbuild.toml", "envbuild.toml"),
    ],
)
def test_a_file_is_chosen_as_the_spec_has_it_or_from_the_current_folder(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch, to: str, file: str
):
    files = ["a.txt", "reqs/a.txt", "reqs/b.txt"]
    (project.folder / "reqs").mkdir()
    for name in files:
        (project.folder / name).write_text("")
    listed = ", ".join(f'"{name}"' for name in files)
    project.spec.write_text(SPEC.replace("[pip]", f"[pip]\nrequirements = [{listed}]"))
    monkeypatch.chdir(project.folder / "reqs")

    result = add_packages(project, ["six"], AddOptions(to=to, lock=False), machine=machine)

    assert result.files == (file,)
    with pytest.raises(SpecError) as caught:
        add_packages(project, ["six"], AddOptions(to="c.txt", lock=False), machine=machine)
    assert caught.value.problems[0].message == "the spec takes no such packages from `c.txt`"


def test_a_project_file_that_is_missing_is_told(project: Project, machine: Machine):
    project.spec.write_text(SPEC.replace("[pip]", '[pip]\nextras = ["x"]'))

    with pytest.raises(SpecError) as caught:
        add_packages(project, ["six"], AddOptions(to="envbuild.toml", lock=False), machine=machine)

    assert "pyproject.toml" in str(caught.value.problems)


def test_the_variant_that_is_what_all_share_is_said_to_be(project: Project, machine: Machine):
    def notes(edit: Callable[..., EditResult], options: object) -> tuple[str, ...]:
        return edit(Project(project.spec), ["six"], options, machine=machine).notes

    add, remove = AddOptions(variant="default", lock=False), RemoveOptions(variant="default", lock=False)
    assert notes(add_packages, add) == ()
    assert notes(remove_packages, remove) == ()

    project.spec.write_text(f"{SPEC}\n[variants.cpu]\n")
    note = "`default` has no table of its own: it is what all variants share, so `cpu` changes too"
    assert notes(add_packages, add) == (note,)
    assert notes(remove_packages, remove) == (note,)

    project.spec.write_text(f"{SPEC}\n[variants.cpu]\n\n[variants.gpu]\n")
    assert notes(add_packages, add)[0].endswith("so `cpu`, `gpu` change too")
    assert notes(add_packages, AddOptions(lock=False)) == ("the spec asks for `six` already",)
    assert notes(add_packages, AddOptions(variant="gpu", lock=False)) == ()


def test_what_must_be_built_is_allowed_by_the_same_command(project: Project, locking: Locking, world: World):
    project.spec.write_text(f"{SPEC}\n[variants.test]\n")
    place = f"-f {project.folder.as_posix()}"

    def hint(edit: Callable[..., object], names: list[str], options: object) -> str | None:
        # as locking itself says it
        name = canonicalize_name("six")
        world.error = sources_needed([], [Pin(name=name, version="1.17.0")], [name], [])
        with pytest.raises(SourcesNeededError) as caught:
            edit(Project(project.spec), names, options, locking)
        return caught.value.hint

    def said(command: str) -> str:
        return f'build = ["six"] in [pip], which `envbuild {command} --add-builds` writes'

    assert hint(add_and_lock, ["six<2"], AddOptions()) == said(f"add {place} 'six<2'")
    wanted = AddOptions(variant="test", to="envbuild.toml", dry_run=True)
    assert hint(add_and_lock, ["six"], wanted) == said(
        f"add {place} --variant test --to envbuild.toml six --dry-run"
    )
    assert hint(remove_and_lock, ["numpy"], RemoveOptions(kind="pip")) == said(f"remove {place} --pip numpy")
    assert hint(upgrade_and_lock, ["numpy"], UpgradeOptions()) == said(f"upgrade {place} numpy")
    assert hint(upgrade_and_lock, [], UpgradeOptions()) == said(f"upgrade {place}")


def test_a_name_that_only_the_new_lock_lacks_is_noted(project: Project, locking: Locking):
    project.lock.unlink()

    result = upgrade_and_lock(project, ["numpy", "nunpy", "zzz"], UpgradeOptions(), locking)

    assert result.notes == (
        "nothing to upgrade: the lock has no package `nunpy`; did you mean `numpy`?",
        "nothing to upgrade: the lock has no package `zzz`",
    )
    assert project.lock.is_file()


def test_an_upgrade_of_a_requirement_says_that_it_takes_names(
    project: Project, locking: Locking, world: World
):
    (project.folder / "pyproject.toml").write_text('[dependency-groups]\ndev = ["idna==3.6"]\n')
    (project.folder / "a.txt").write_text(f"attrs==1 --hash=sha256:{'0' * 64}\n")
    spec = SPEC.replace("[pip]", '[pip]\ngroups = ["dev"]\nrequirements = ["a.txt"]')
    project.spec.write_text(f'{spec}\n[variants.gpu.pip]\npackages = ["cupy"]\n')
    place = f"-f {project.folder.as_posix()}"
    message = "is a requirement, and `upgrade` takes names"
    hints = {
        "numpy==2.4.5": f"`envbuild add {place} numpy==2.4.5` writes it into the spec",
        "numpy>=2": f"run `envbuild upgrade {place} numpy`",
        "idna<4": f"`envbuild add {place} --group dev 'idna<4'` writes it into the spec",
        "cupy<14": f"`envbuild add {place} --variant gpu 'cupy<14'` writes it into the spec",
        "polars==1": f"`envbuild add {place} polars==1` writes it into the spec",
        "numpy<3; python_version < '4'": (
            f"""`envbuild add {place} 'numpy<3; python_version < '"'"'4'"'"''` writes it into the spec"""
        ),
        "scikit-learn[x]": f"run `envbuild upgrade {place} scikit-learn`",
        "git=1:2": f"`envbuild add {place} --apt git=1:2` writes it into the spec",
    }

    with pytest.raises(UsageError) as caught:
        upgrade_and_lock(project, [*hints, "numpy", "attrs==2"], UpgradeOptions(), locking)

    *others, generated = caught.value.problems
    assert [(problem.where, problem.message, problem.hint) for problem in others] == [
        (text, message, hint) for text, hint in hints.items()
    ]
    assert generated.message == f"{message}; `a.txt` has hashes, which a new line would lack"
    assert generated.hint is None
    assert world.asked == []
