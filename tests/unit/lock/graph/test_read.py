import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w

from envbuild.errors import LockInvalidError, LockVersionError
from envbuild.lock.codec import dumps
from envbuild.lock.graph.model import PackageGraph
from envbuild.lock.graph.read import read_targets
from envbuild.lock.graph.reasons import reasons_for
from envbuild.lock.model import Lock
from tests.rig.growing import with_debs, with_target, with_wheels
from tests.rig.locks import conda_lock, deb, gpu_lock, image_base, sample_lock, source_lock, wheel
from tests.rig.paths import CHECKOUT

EXAMPLES = sorted(path.parent.name for path in (CHECKOUT / "examples").glob("*/envbuild.lock"))


def graph_of(lock: Lock) -> PackageGraph:
    return read_targets(dumps(lock)).targets[0].graph()


def unexplained(graph: PackageGraph) -> set[str]:
    """Return the packages of a target that nothing leads to."""
    return {
        package.label
        for package in graph.packages.values()
        if package.part == "environment" and not reasons_for(graph, package).chains
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_package_of_an_example_is_explained(example: str) -> None:
    text = (CHECKOUT / "examples" / example / "envbuild.lock").read_text("utf-8")
    targets = read_targets(text).targets

    assert targets
    for target in targets:
        assert unexplained(target.graph()) == set()


@pytest.mark.parametrize(
    "lock",
    [
        pytest.param(sample_lock(), id="packages"),
        pytest.param(sample_lock(image_base()), id="image"),
        pytest.param(gpu_lock(), id="gpu"),
        pytest.param(conda_lock(), id="conda"),
    ],
)
def test_every_package_is_explained(lock: Lock) -> None:
    assert unexplained(graph_of(lock)) == set()


def test_a_package_that_nothing_requires_is_seen() -> None:
    assert unexplained(graph_of(with_wheels(sample_lock(), wheel("stray")))) == {"stray 1.0"}


def test_all_packages_of_a_target_are_in_its_graph() -> None:
    lock = conda_lock()
    graph = graph_of(lock)

    assert {(one.kind, one.name, one.part) for one in graph.packages.values()} >= {
        ("wheel", "joblib", "environment"),
        ("conda", "tqdm", "environment"),
        ("deb", "git", "environment"),
        ("deb", "bash", "base"),
        ("wheel", "installer", "tool"),
        ("wheel", "py-rattler", "tool"),
    }


def test_a_base_image_says_what_it_has_and_not_what_that_provides() -> None:
    lock = with_debs(sample_lock(image_base()), deb("git", depends=("libc6 (>= 2.34)", "awk | gawk", "perl")))
    graph = graph_of(lock)

    assert {
        (edge.target[2], graph.packages[edge.target].part, graph.packages[edge.target].version)
        for edge in graph.requires["environment", "deb", "git"]
    } == {("libc6", "base", "2.36-9+deb12u13"), ("awk", "base", None), ("perl", "base", None)}


def test_a_newer_version_of_a_package_of_the_base_is_not_of_the_base() -> None:
    graph = graph_of(with_debs(sample_lock(), deb("libc6", "2.37")))

    package = graph.packages["environment", "deb", "libc6"]
    assert (package.version, package.part) == ("2.37", "environment")


def test_a_package_of_another_architecture_has_it_in_its_name() -> None:
    base = image_base().model_copy(update={"debs": ("libc6=2.36:amd64", "libc6=2.36:i386", "tzdata=1:all")})
    graph = graph_of(sample_lock(base))

    assert {one.name for one in graph.packages.values() if one.part == "base"} >= {
        "libc6",
        "libc6:i386",
        "tzdata",
    }


def test_conda_answers_what_pip_is_asked_for() -> None:
    lock = conda_lock()
    variants = {
        name: variant.model_copy(
            update={"pip": variant.pip.model_copy(update={"requirements": ("joblib", "tqdm>=4")})}
        )
        for name, variant in lock.request.variants.items()
    }
    lock = lock.model_copy(update={"request": lock.request.model_copy(update={"variants": variants})})
    asked = [one for one in graph_of(lock).requested if one.requirement == "tqdm>=4"]

    assert [(one.table, one.target, one.via) for one in asked] == [
        ("pip", ("environment", "conda", "tqdm"), "tqdm==4.67.1")
    ]


def test_the_python_of_the_spec_leads_to_the_interpreter() -> None:
    targets = {one.table: one.target for one in graph_of(conda_lock()).requested}

    assert targets["python"] == ("environment", "conda", "python")


def test_what_a_source_is_built_with_is_apart_from_the_image() -> None:
    graph = graph_of(source_lock())
    built = {package.name: package for package in graph.packages.values() if package.part == "build"}

    assert built
    assert all(package.built_for for package in built.values())
    assert set(graph.builds) == {name for package in built.values() for name in package.built_for}


def test_libraries_of_the_gpu_are_known_by_who_brings_them() -> None:
    graph = graph_of(gpu_lock())

    assert graph.gpu_runtime == "CUDA 13.0"
    assert graph.gpu_providers == {"wheel nvidia-cuda-runtime": ("cudart",)}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda document: document["targets"][0].update(wheels="numpy"), id="no list"),
        pytest.param(lambda document: document["wheels"][0].update(size="1"), id="no number"),
        pytest.param(lambda document: document["wheels"][0].pop("name"), id="missing"),
        pytest.param(lambda document: document["targets"][0].update(base="other"), id="dangling"),
        pytest.param(lambda document: document["targets"][0].update(platform="plan9/mips"), id="platform"),
        pytest.param(lambda document: document.update(targets=[1]), id="no table"),
        pytest.param(lambda document: document.pop("request"), id="no request"),
    ],
)
def test_a_lock_that_is_not_valid_is_refused_as_everywhere(spoil: object) -> None:
    import tomllib  # noqa: PLC0415

    document = tomllib.loads(dumps(sample_lock()))
    assert callable(spoil)
    spoil(document)

    with pytest.raises(LockInvalidError):
        [target.graph() for target in read_targets(tomli_w.dumps(document)).targets]


@pytest.mark.parametrize("text", ["version = 99\n", "version = 0\n"])
def test_another_format_version_is_refused(text: str) -> None:
    with pytest.raises(LockVersionError):
        read_targets(text)


@pytest.mark.parametrize("text", ["", "no toml", "<<<<<<< HEAD\n", "[" * 5000])
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(LockInvalidError):
        read_targets(text)


def test_a_long_chain_of_packages_is_read() -> None:
    lock = with_wheels(
        with_target(sample_lock(), wheels=()),
        *(wheel(f"p{number}", requires=(f"p{number + 1}",)) for number in range(3000)),
        asks=("p0",),
    )
    graph = graph_of(lock)

    last = graph.packages["environment", "wheel", "p2999"]
    assert len(reasons_for(graph, last).chains[0].steps) == 2999


@pytest.mark.network
@pytest.mark.slow
def test_edges_are_those_that_uv_finds_in_what_is_installed(tmp_path: Path) -> None:
    """`uv pip tree` reads the metadata of installed files: another program, and another source."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv
    text = (CHECKOUT / "examples/sklearn/envbuild.lock").read_text("utf-8")
    graph = read_targets(text).targets[0].graph()
    wheels = [one for one in graph.packages.values() if (one.kind, one.part) == ("wheel", "environment")]
    folder = tmp_path / "venv"

    def run(*arguments: str) -> str:
        return subprocess.run(
            [uv, *arguments], capture_output=True, text=True, check=True, timeout=300
        ).stdout

    run("venv", "--quiet", "--python", sys.executable, str(folder))
    pins = [f"{one.name}=={one.version}" for one in wheels]
    run("pip", "install", "--quiet", "--no-deps", "--python", str(folder), *pins)
    listed = run("pip", "tree", "--python", str(folder), "--no-dedupe", "--show-version-specifiers")

    assert _edges_of_uv(listed) == {
        (edge.source[2], edge.target[2])
        for edges in graph.requires.values()
        for edge in edges
        if edge.source[1] == "wheel" and graph.packages[edge.source].part == "environment"
    }


def _edges_of_uv(listed: str) -> set[tuple[str, str]]:
    found, path = set(), list[str]()
    for line in listed.splitlines():
        mark = line.find("── ")
        level = 0 if mark < 0 else (mark - 1) // 4 + 1
        name = line[mark + 3 if level else 0 :].split()[0]
        path = [*path[:level], name]
        if level:
            found.add((path[-2], name))
    assert found, json.dumps(listed)
    return found
