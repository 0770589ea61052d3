"""Three users from their first command to daily work, each with the program as it is installed.

A laptop with Docker, a team whose CI builds many environments, and a cluster without Docker, apt and root.
Each test is one story: its commands are typed in this order, and what one leaves the next one finds.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.rig.bases import PushedImage
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.index import PackageIndex
from tests.rig.registry import Registry
from tests.rig.team_index import publish, team_index
from tests.rig.terminal import Terminal
from tests.rig.unprivileged import UID
from tests.rig.user import User, docker_user, ordinary_user
from tests.rig.without_apt import mirror_variables, without_apt_prefix

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("three-users"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine, and becoming another user, need root"),
]

CTRL_D = "\x04"
NO_ENGINE = "unix:///nonexistent"
MOST_BYTES = 1 << 20
"""What `build` of images that the registry has may leave in an empty cache folder."""

TRAIN = """\
import getpass, pathlib, tablekit
pathlib.Path("model.txt").write_text(tablekit.__version__)
pathlib.Path(pathlib.Path.home(), "state").write_text("")
print("trained with", tablekit.__version__, "by", getpass.getuser())
"""


QUICK_AND_WHOLE = pytest.mark.parametrize(
    "whole", [pytest.param(False, id="quick"), pytest.param(True, id="whole", marks=pytest.mark.long)]
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    with team_index(tmp_path / "index") as running:
        yield running


@pytest.fixture
def homes() -> Iterator[Path]:
    """Return a folder that every user may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="envbuild-homes-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def json_of(user: User, *arguments: str, code: int = 0) -> Any:
    return json.loads(user(*arguments, "--json", code=code).stdout)


def shows(terminal: Terminal, text: str) -> None:
    terminal.wait_for(lambda: any(text in line for line in terminal.lines))


def leaves(terminal: Terminal, *, after: str) -> None:
    """Leave the shell: press Ctrl-D at the prompt below a line; a key that comes earlier is not for bash."""
    terminal.wait_for(lambda: after in terminal.lines[-2:-1] and terminal.lines[-1].endswith(("#", "$")))
    terminal.type(CTRL_D)
    assert terminal.end() == 0


def owner(path: Path) -> int:
    return path.stat().st_uid


# --- a laptop with Docker -----------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.usefixtures("engine_host")
@QUICK_AND_WHOLE
def test_a_laptop_with_docker(
    whole: bool, index: PackageIndex, debian_image: PushedImage, homes: Path
) -> None:
    """From a folder with a requirements file to an environment that changes every week."""
    name = f"churn-{'whole' if whole else 'quick'}-{os.getpid()}"
    user = docker_user(homes / "ada").below("churn")
    requirements = user.write("requirements.txt", "tablekit>=1.0  # the table\nplotting\n")
    work = user.below("experiments")
    work.write("train.py", TRAIN)

    if whole:
        has_no_spec_yet(user)
    takes_up(user, index, name, *(() if whole else ("--base", debian_image.reference)))
    locks_on_a_terminal(user)
    first = builds_and_works(user, work, name)
    adds_packages(work, index, requirements)
    if whole:
        mistypes(user)
        second = upgrades_and_removes(work, index, requirements)
        tidies_up(work, name, first, second)
        a_script_becomes_an_environment(user.below("../report"), debian_image)
    else:
        assert f"removed {first} from docker" in user("rm", first).stderr


def has_no_spec_yet(user: User) -> None:
    missing = user("build", code=3)
    assert "error: there is no spec here, or in a folder above" in missing.stderr
    assert "hint: run `envbuild init`" in missing.stderr


def takes_up(user: User, index: PackageIndex, name: str, *given: str) -> None:
    """Say where packages come from, and have a spec written from the files that are there."""
    user("config", "set", "indexes.default.url", index.index_url)
    said = user("init", "--name", name, "--python", "3.11", *given)
    assert "requirements.txt  2 requirements" in said.stderr
    if not given:
        # the image that `init` counts on is in a registry that tests do not ask
        spec = user.folder / "envbuild.toml"
        assert "[base]" not in spec.read_text()
        user.write("envbuild.toml", f'{spec.read_text()}\n[base]\npackages = "debian:bookworm"\n')


def locks_on_a_terminal(user: User) -> None:
    """Lock, and be told what comes next."""
    with user.on_terminal("lock") as terminal:
        assert terminal.end() == 0, terminal.lines
        assert terminal.lines[-1] == "next: envbuild build"


def builds_and_works(user: User, work: User, name: str) -> str:
    """Build, verify, run and open a shell; return the image."""
    reference = user("build").stdout.strip()
    forget_at_the_end(reference)
    assert reference.startswith(f"{name}:")
    assert "matches its lock" in user("verify").stderr

    ran = work("run", "--", "python", "train.py")
    assert ran.stdout == "trained with 1.0 by nobody\n"
    assert (work.folder / "model.txt").read_text() == "1.0"
    with work.on_terminal("shell") as terminal:
        shows(terminal, f"({name})")
        terminal.type("pwd; python -c 'import plotting as p; print(p.__version__ + \"!\")'\n")
        shows(terminal, "/workspace/experiments")
        shows(terminal, "1.0!")
        terminal.type("echo kept > notes.txt; echo written-$?\n")
        leaves(terminal, after="written-0")
    assert (work.folder / "notes.txt").read_text() == "kept\n"
    assert {owner(work.folder / made) for made in ("model.txt", "notes.txt")} == {UID}
    return reference


def adds_packages(work: User, index: PackageIndex, requirements: Path) -> None:
    """Add one that there is not, then one that there is; write a bound by hand, and run with it."""
    lock = requirements.with_name("envbuild.lock")
    before = (requirements.read_text(), lock.read_text())
    unknown = work("add", "tabelkit-pro", code=5)
    assert "`tabelkit-pro` is not on the index" in unknown.stderr
    assert (requirements.read_text(), lock.read_text()) == before

    publish(index, "gridsearch", "0.1", "tablekit")
    added = work("add", "gridsearch")
    assert "gridsearch  + 0.1" in added.stderr + added.stdout
    requirements.write_text(requirements.read_text().replace("plotting\n", "plotting<2\n"))
    ran = work("run", "--lock", "--", "python", "-c", "import gridsearch; print(gridsearch.__version__)")
    assert ran.stdout == "0.1\n"
    assert requirements.read_text() == f"{before[0]}gridsearch\n".replace("plotting", "plotting<2")
    assert {owner(path) for path in (requirements, lock)} == {UID}
    forget_at_the_end(work("build").stdout.strip())


def mistypes(user: User) -> None:
    """Every mistake is answered with what to type, and changes nothing."""
    spec = user.folder / "envbuild.toml"
    spec.write_text(f"{spec.read_text()}[determinism]\nseed = 1\n")
    stale = user("run", "--", "python", "-V", code=125)
    assert "`envbuild run --lock`" in stale.stderr
    spec.write_text(spec.read_text().replace("[determinism]\nseed = 1\n", ""))
    files = {path.name: path.read_bytes() for path in user.folder.iterdir() if path.is_file()}
    for words, code, hint in (
        (("config", "set", "egine", "local"), 2, "did you mean `engine`?"),
        (("init",), 1, "envbuild.toml"),
        (("add", "tablekit>5"), 5, "the newest on the index is 1.0"),
        (("remove", "tabelkit-pro"), 3, "the spec does not ask for it"),
        (("why", "tabelkit"), 2, "did you mean `tablekit`?"),
        (("run", "--", "requirements.txt"), 125, "hint: `requirements.txt` is a file of this folder"),
        (("run", "--", "pyton", "train.py"), 125, "with `envbuild add`"),
        (("run", "--", "python -V"), 125, "hint: a command is words, not one text"),
        (("run", "--variant", "gpu", "--", "true"), 125, "default"),
        (("build", "--lok"), 2, "--lock"),
        (("rm",), 2, "--unused"),
        (("rm", "no-such-image"), 6, "`envbuild images --all` lists them"),
    ):
        said = user(*words, code=code)
        assert hint in said.stderr, (words, said.stderr)
    assert {path.name: path.read_bytes() for path in user.folder.iterdir() if path.is_file()} == files
    assert "envbuild.lock is up to date" in user("lock").stderr
    assert "exists; nothing to do" in user("build").stderr
    assert user("run", "--", "python", "-c", "raise SystemExit(7)", code=7).stderr == ""


def upgrades_and_removes(work: User, index: PackageIndex, requirements: Path) -> str:
    """Look what is out of date, take it, and give up a package; return the image of the changed lock."""
    lock = requirements.with_name("envbuild.lock")
    assert json_of(work, "status")[0]["image"] == "built"
    assert "tablekit 1.0 requires numeric>=2" in work("why", "numeric").stdout
    assert "gridsearch 0.1\n└── tablekit" in work("tree", "--kind", "wheel").stdout
    assert "up to date" in work("outdated", "--direct").stderr

    publish(index, "tablekit", "1.1", "numeric>=2")
    outdated = work("outdated", "--exit-code", "--direct", code=1)
    assert re.search(r"^tablekit +wheel +1\.0 +1\.1 +1\.1", outdated.stdout, re.MULTILINE)
    locked = lock.read_text()
    assert "nothing was written" in work("upgrade", "--dry-run", "tablekit").stderr
    assert lock.read_text() == locked
    work("upgrade", "tablekit")
    work("remove", "plotting")
    assert "# the table" in requirements.read_text()
    assert "plotting" not in requirements.read_text()

    reference = work("build").stdout.strip()
    forget_at_the_end(reference)
    assert work("run", "--", "python", "train.py").stdout.startswith("trained with 1.1")
    assert "No module named plotting" in work("run", "--", "python", "-m", "plotting", code=1).stderr
    return reference


def tidies_up(work: User, name: str, first: str, second: str) -> None:
    listed = json_of(work, "images", "--engine", "docker")["images"]
    assert {image["reference"] for image in listed if image["current"]} == {second}
    assert first in {image["reference"] for image in listed}
    assert {image["name"] for image in listed} == {name}
    assert "add --yes" in work("rm", "--unused", code=2).stderr
    work("rm", "--unused", "--yes", "--engine", "docker")
    listed = json_of(work, "images", "--engine", "docker")["images"]
    assert [image["reference"] for image in listed] == [second]
    assert f"removed {second} from docker" in work("rm", second).stderr
    assert "run `envbuild build`" in work("verify", code=6).stderr
    work("cache", "prune", "--max-size", "0")


def a_script_becomes_an_environment(user: User, base: PushedImage) -> None:
    user.write(
        "report.py",
        '# /// script\n# requires-python = ">=3.11,<3.12"\n# dependencies = ["numeric>=2"]\n# ///\n'
        "import numeric\nprint('report of', numeric.__version__)\n",
    )
    name = f"report-{os.getpid()}"
    said = user("init", "report.py", "--name", name, "--base", base.reference)
    assert "report.py  Python 3.11" in said.stderr
    ran = user("run", "--lock", "--", "python", "report.py")
    forget_at_the_end(user("build").stdout.strip())
    assert ran.stdout == "report of 2.0\n"
    assert re.search(r"^numeric 2\.0", user("tree", "--kind", "wheel").stdout, re.MULTILINE)


# --- CI of a team with many environments --------------------------------------------------------

KINDS = {
    "wheels": '[pip]\npackages = ["tablekit"]\n',
    "files": '[pip]\nrequirements = ["requirements.txt"]\n',
    "system": '[pip]\npackages = ["numeric"]\n[system]\npackages = ["libgomp1"]\n',
    "settings": '[pip]\npackages = ["plotting"]\n',
}
"""What the specs of the repository ask for, in turn."""
MANY = 20
SITE = "/opt/venv/lib/python3.11/site-packages"


@pytest.mark.engine
@pytest.mark.usefixtures("engine_host")
@pytest.mark.parametrize("count", [2, pytest.param(MANY, marks=pytest.mark.long)])
def test_ci_of_many_environments(
    count: int, index: PackageIndex, registry: Registry, debian_image: PushedImage, tmp_path: Path
) -> None:
    """From specs without locks to a nightly run that finds the image that somebody pushed over."""
    folder = tmp_path / "repository"
    names = write_specs(folder, count, registry, debian_image)

    def machine(name: str) -> User:
        return User(
            home=tmp_path / name,
            folder=folder,
            settings={"ENVBUILD_INDEX_DEFAULT_URL": index.index_url, "CI": "true", "DOCKER_HOST": NO_ENGINE},
        )

    developer, first, second, nightly = map(machine, ("developer", "first", "second", "nightly"))
    whole = count == MANY
    if whole:
        missing = first("lock", "--check", "--all", code=4)
        assert missing.stderr.count("failed  there is no envbuild.lock") == count
    developer("lock", "--all")

    pushed = builds_and_pushes(first, names)
    finds_all_in_the_registry(second, pushed)
    changed = folder / names[1] / "requirements.txt"
    before = changed.read_text()
    a_lock_goes_stale(second, names[1], changed)
    if whole:
        it_is_locked_and_built(developer, second, names[1], pushed)
    else:
        changed.write_text(before)
    somebody_pushes_over(pushed[names[0]][0])
    the_nightly_run_finds_it(nightly, names, tmp_path / "envbuild.xml", *(["--deep"] if whole else []))


def write_specs(folder: Path, count: int, registry: Registry, base: PushedImage) -> list[str]:
    names = []
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        name = f"{number:02}-{kind}"
        names.append(name)
        (folder / name).mkdir(parents=True)
        (folder / name / "requirements.txt").write_text("tablekit>=1.0\n")
        (folder / name / "envbuild.toml").write_text(
            f'name = "env-{name}"\npython = "3.11"\nplatforms = ["linux/amd64"]\n'
            f'[base]\nimage = "{base.reference}"\n{KINDS[kind]}'
            f'[image]\nenv = {{ TEAM_NUMBER = "{number}" }}\n'
            f'repository = "{registry.host}/platform-{os.getpid()}-{count}/{name}"\n'
        )
    return names


def builds_and_pushes(machine: User, names: list[str]) -> dict[str, tuple[str, str]]:
    """Check all locks, build and push all images, in the first run of CI; return references and digests."""
    machine("lock", "--check", "--all")
    built = json_of(machine, "build", "--all", "--push", "--engine", "local")

    assert [entry["spec"] for entry in built] == names
    assert {(entry["built"], entry["in-registry"]) for entry in built} == {(True, True)}
    assert len({entry["reference"] for entry in built}) == len(names)
    return by_spec(built)


def by_spec(built: Any) -> dict[str, tuple[str, str]]:
    return {entry["spec"]: (entry["reference"], entry["digest"]) for entry in built}


def finds_all_in_the_registry(machine: User, pushed: dict[str, tuple[str, str]]) -> None:
    """Build on another machine of CI, with an empty cache: nothing is built, next to nothing is fetched."""
    found = json_of(machine, "build", "--all", "--push", "--engine", "local")

    assert by_spec(found) == pushed
    assert all(entry["in-registry"] for entry in found)
    assert not any(entry["built"] or entry["verified"] for entry in found)
    kept = sum(path.stat().st_size for path in (machine.home / ".cache").rglob("*") if path.is_file())
    assert kept <= MOST_BYTES


def a_lock_goes_stale(machine: User, name: str, requirements: Path) -> None:
    """Change a requirements file and forget the lock: CI says which, and looks after the others."""
    requirements.write_text(f"{requirements.read_text()}plotting\n")

    stale = json_of(machine, "lock", "--check", "--all", code=4)
    assert [entry["spec"] for entry in stale if not entry["ok"]] == [name]
    refused = machine("build", "--all", "--engine", "local", code=4)
    assert "+ plotting" in refused.stderr
    assert refused.stderr.count("in the registry") == len(stale) - 1


def it_is_locked_and_built(
    developer: User, machine: User, name: str, pushed: dict[str, tuple[str, str]]
) -> None:
    developer("lock", "--all")
    machine("lock", "--check", "--all")
    built = json_of(machine, "build", "--all", "--push", "--engine", "local")
    assert [entry["spec"] for entry in built if entry["built"]] == [name]
    assert {spec for spec, image in by_spec(built).items() if image != pushed[spec]} == {name}


def somebody_pushes_over(reference: str) -> None:
    """Push an image without a package over a tag: its labels are right, its content is not."""
    recipe = f"FROM {reference}\nUSER 0\nRUN rm -r {SITE}/numeric*\nUSER 1000:1000\n"
    words = ("--quiet", "--provenance=false", "--tag", reference, "-")
    docker("buildx", "build", *words, stdin=recipe.encode())
    docker("push", "--quiet", reference)


def the_nightly_run_finds_it(machine: User, names: list[str], report: Path, *options: str) -> None:
    """Verify everything that is in the registry on a third machine, which has nothing yet."""
    broken = names[0]
    given = ("--engine", "local", "--junit", str(report), *options)
    said = machine("verify", "--all", *given, code=8)

    assert re.search(rf"^{broken} +failed", said.stderr, re.MULTILINE)
    assert said.stderr.count("matches its lock") == len(names) - 1
    root = ET.parse(report).getroot()  # noqa: S314 - our own
    suites = {str(suite.get("name")).partition(":")[0]: suite for suite in root}
    assert list(suites) == names
    failed = {name for name, suite in suites.items() if suite.get("failures") != "0"}
    assert failed == {broken}
    assert {suite.get("errors") for suite in suites.values()} == {"0"}
    assert all(int(suite.get("tests", "0")) > 20 for suite in suites.values())
    texts = [str(failure.get("message")) for failure in suites[broken].iter("failure")]
    assert any("numeric" in text for text in texts), texts


# --- a cluster without Docker, apt and root -----------------------------------------------------


@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="uidmap is not installed (make setup)")
@QUICK_AND_WHOLE
def test_a_cluster_without_docker_apt_and_root(
    whole: bool, homes: Path, index: PackageIndex, debian_image: PushedImage
) -> None:
    """A user with subordinate ids, from a spec to results, and away again."""
    settings = {"DOCKER_HOST": NO_ENGINE, "PYTHONDONTWRITEBYTECODE": "1", **mirror_variables()}
    user = ordinary_user(homes / "ada", ids=65_536, settings=settings)
    user = replace(user, prefix=(*without_apt_prefix(homes), *user.prefix)).below("project")
    # a package of the distribution is chosen by its own apt, which this machine lacks
    system = '[system]\npackages = ["libgomp1"]\n' if whole else ""
    user.write(
        "envbuild.toml",
        f'name = "night"\npython = "3.11"\n[base]\nimage = "{debian_image.reference}"\n'
        f'[pip]\npackages = ["tablekit"]\n{system}',
    )
    jobs = user.below("jobs")
    jobs.write("train.py", TRAIN)
    user("config", "set", "engine", "local")
    user("config", "set", "indexes.default.url", index.index_url)

    if whole:
        docker_fails(user)
    locks_and_builds(user)
    runs_jobs(user, jobs)
    if whole:
        is_told_what_cannot_be(user)
    leaves_no_trace(user)


def docker_fails(user: User) -> None:
    refused = user("build", "--lock", "--engine", "docker", code=6)
    assert "--engine local" in refused.stderr
    user("doctor")


def locks_and_builds(user: User) -> None:
    reference = user("build", "--lock").stdout.strip()
    assert reference.startswith("night:")
    assert owner(user.folder / "envbuild.lock") == UID
    assert "matches its lock" in user("verify").stderr


def runs_jobs(user: User, jobs: User) -> None:
    """Run a script, a shell and a job that copies its results, with the engine of the configuration."""
    ran = jobs("run", "--", "python", "train.py")
    assert ran.stdout == "trained with 1.0 by root\n"
    made = jobs.folder / "model.txt"
    assert (made.read_text(), owner(made)) == ("1.0", UID)

    with jobs.on_terminal("shell") as terminal:
        shows(terminal, "(night)")
        terminal.type("pwd; touch ~/free && echo home-$?\n")
        shows(terminal, "/workspace/jobs")
        shows(terminal, "home-0")
        terminal.type("mkdir runs; echo 3 > runs/loss; echo written-$?\n")
        leaves(terminal, after="written-0")
    assert {owner(jobs.folder / name) for name in ("runs", "runs/loss")} == {UID}

    script = "import pathlib; p = pathlib.Path('out'); p.mkdir(); (p / 'loss').write_text('2')"
    user("run", "--copy", "jobs", "--copy-out", "out:results", "--", "python", "-c", script)
    result = user.folder / "results/loss"
    assert (result.read_text(), owner(result)) == ("2", UID)
    assert not (user.folder / "out").exists()


def is_told_what_cannot_be(user: User) -> None:
    assert "envbuild.lock is up to date" in user("lock").stderr
    limited = user("run", "--memory", "1g", "--", "true", code=125)
    assert "--memory" in limited.stderr
    not_there = user("run", "--", "nvidia-smi", code=125)
    assert "with `envbuild add`" in not_there.stderr


def leaves_no_trace(user: User) -> None:
    (image,) = json_of(user, "images")["images"]
    assert (image["engine"], image["current"]) == ("local", True)
    assert f"removed {image['reference']} from local" in user("rm", image["reference"]).stderr
    assert json_of(user, "images")["images"] == []
    user("cache", "prune", "--max-size", "0")
    kept = [path for path in (user.home / ".cache/envbuild").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < MOST_BYTES
    found = subprocess.run(
        ["find", user.home, "!", "-uid", str(UID)], capture_output=True, text=True, check=True
    )
    assert found.stdout == ""
