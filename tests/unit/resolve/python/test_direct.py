import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import (
    EnvbuildError,
    IntegrityError,
    NetworkError,
    NoSolutionError,
    NotFoundError,
    SpecError,
)
from envbuild.formats.core_metadata import WheelMetadata
from envbuild.lock.model import Libc, Wheel
from envbuild.platforms import ARM64
from envbuild.remote.git.client import GitClient
from envbuild.remote.index.metadata import MetadataReader
from envbuild.resolve.python.direct import DirectSource, fetch_direct, parse_direct
from envbuild.resolve.python.direct_requirements import DirectFinder
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest
from envbuild.spec.requirements import normalized_requirement
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import IndexLocator
from envbuild.store.plan import artifact_of
from envbuild.store.store import Store
from tests.rig.desk import TARGET, THIS_PYTHON, Desk
from tests.rig.flat_page import LinkPage
from tests.rig.git_server import GitServer
from tests.rig.index import make_wheel

# each starts uv, the real one
pytestmark = pytest.mark.slow

LOCAL = "demo-1.0+cu118-py3-none-any.whl"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[LinkPage]:
    """Serve a folder of files at plain addresses."""
    folder = tmp_path / "files"
    folder.mkdir()
    with LinkPage(folder) as page:
        yield page


def asked(*requirements: str, **pip: Any) -> VariantRequest:
    lines = tuple(sorted(normalized_requirement(text) for text in requirements))
    return VariantRequest(
        python="3.11", base=BaseRequest(image="base"), pip=PipRequest(requirements=lines, **pip)
    )


def pinned(wheels: tuple[Wheel, ...]) -> list[str]:
    return [f"{wheel.name}=={wheel.version}" for wheel in wheels]


def refused(desk: Desk, *requirements: str, **pip: Any) -> EnvbuildError:
    with pytest.raises(EnvbuildError) as caught:
        desk.resolve(request=asked(*requirements, **pip))
    return caught.value


def test_a_wheel_by_address_is_locked_with_all_a_build_needs(desk: Desk, files: LinkPage) -> None:
    path = make_wheel(
        files.folder,
        "demo",
        "1.0+cu118",
        requires=["lib>=1", 'win; sys_platform == "win32"'],
        extras={"fast": ["quick"]},
        requires_python=">=3.8",
    )
    for name in ("lib", "quick", "demo"):
        make_wheel(desk.folder, name, "9.0")
    url = files.file_url(LOCAL)
    demo, *others = desk.resolve(request=asked(f"demo[fast] @ {url}"))
    assert demo == Wheel(
        name="demo",
        version="1.0+cu118",
        file=LOCAL,
        size=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        hash_source="computed",
        url=url,
        requires_python=">=3.8",
        requires=("lib>=1", 'quick; extra == "fast"'),
        license="Apache-2.0",
    )
    assert pinned(tuple(others)) == ["lib==9.0", "quick==9.0"]
    assert desk.index.requested("demo") == 0
    assert files.requested(LOCAL) == 1


def test_what_others_require_is_the_wheel_of_the_address(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118")
    make_wheel(desk.folder, "app", "2.0", requires=["demo<2"])
    make_wheel(desk.folder, "app", "3.0", requires=["demo>=2"])
    make_wheel(desk.folder, "demo", "2.0")
    found = desk.resolve(request=asked("app", files.file_url(LOCAL)))
    assert pinned(found) == ["app==2.0", "demo==1.0+cu118"]


def test_a_conflict_names_the_version_of_the_address(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118")
    make_wheel(desk.folder, "app", "3.0", requires=["demo>=2"])
    error = refused(desk, "app", files.file_url(LOCAL))
    assert isinstance(error, NoSolutionError)
    assert error.hint == (
        "the addresses in the spec give demo 1.0+cu118: ask for another file or commit, or change the rest"
    )
    assert "file:" not in f"{error.message} {error.detail}"


def test_an_address_goes_with_bound_packages(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118", requires=["scatter"])
    make_wheel(files.folder, "scatter", "2.0+cu118")
    request = asked(files.file_url(LOCAL), find_links={"pyg": files.page_url}, sources={"scatter": "pyg"})
    assert pinned(desk.resolve(request=request)) == ["demo==1.0+cu118", "scatter==2.0+cu118"]


def test_a_marker_gives_each_target_its_own_wheel(desk: Desk, files: LinkPage) -> None:
    for machine in ("x86_64", "aarch64"):
        make_wheel(files.folder, "demo", "1.0", tag=f"cp311-cp311-manylinux_2_17_{machine}")
    lines = [
        f"{files.file_url(f'demo-1.0-cp311-cp311-manylinux_2_17_{machine}.whl')} ; "
        f"platform_machine == '{machine}'"
        for machine in ("x86_64", "aarch64")
    ]
    arm = TargetPython(ARM64, Libc(family="glibc", version="2.36"), "3.11.2")
    (one,) = desk.resolve(request=asked(*lines))
    (other,) = desk.resolve(request=asked(*lines), target=arm)
    assert (one.file[-10:], other.file[-11:]) == ("x86_64.whl", "aarch64.whl")


def test_a_stated_hash_is_checked(desk: Desk, files: LinkPage) -> None:
    path = make_wheel(files.folder, "demo", "1.0+cu118")
    url, good = files.file_url(LOCAL), hashlib.sha256(path.read_bytes()).hexdigest()
    assert pinned(desk.resolve(request=asked(f"{url}#sha256={good}"))) == ["demo==1.0+cu118"]
    error = refused(desk, f"{url}#sha256={'ab' * 32}")
    assert isinstance(error, IntegrityError)
    assert error.message == f"{url} is not what was asked for: sha256 expected {'ab' * 32}, got {good}"


def test_what_is_locked_is_not_fetched_again(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118", requires=["lib"])
    make_wheel(desk.folder, "lib", "1.0")
    make_wheel(desk.folder, "more", "1.0")
    url = files.file_url(LOCAL)
    before = desk.resolve(request=asked(url))
    after = desk.resolve(request=asked(url, "more"), previous=before)
    assert pinned(after) == ["demo==1.0+cu118", "lib==1.0", "more==1.0"]
    assert after[0] == before[0]
    assert files.requested(LOCAL) == 1
    shutil.rmtree(desk.cache)
    assert desk.resolve(request=asked(url, "more"), previous=before)[0] == before[0]


def test_an_upgrade_fetches_what_is_at_the_address_now(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118")
    url = files.file_url(LOCAL)
    before = desk.resolve(request=asked(url))
    make_wheel(files.folder, "demo", "1.0+cu118", files={"other.py": "x"})
    assert desk.resolve(request=asked(url), previous=before) == before
    (after,) = desk.resolve(
        request=asked(url), previous=before, upgrade=Upgrade(packages=frozenset({"demo"}))
    )
    assert after.sha256 != before[0].sha256


def test_a_build_fetches_the_wheel_from_its_address(desk: Desk, files: LinkPage, tmp_path: Path) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118")
    (wheel,) = desk.resolve(request=asked(files.file_url(LOCAL)))
    store = Store(tmp_path / "other-cache")
    locator = IndexLocator(desk.client)
    fetch_all([artifact_of(wheel, locator)], store=store)
    assert store.verify(wheel.sha256)
    make_wheel(files.folder, "demo", "1.0+cu118", files={"other.py": "x"})
    with pytest.raises(IntegrityError) as caught:
        fetch_all([artifact_of(wheel, locator)], store=Store(tmp_path / "third-cache"))
    assert caught.value.message == f"`{LOCAL}` cannot be had as it was locked"
    locator.close()


@pytest.mark.parametrize(
    ("tag", "requires_python", "reason"),
    [
        (
            "cp310-cp310-linux_x86_64",
            "",
            "only wheels of it for cp310-cp310, not for CPython 3.11",
        ),
        (
            "cp311-cp311-manylinux_2_38_x86_64",
            "",
            "only wheels of it that need glibc 2.38 or newer; the base has 2.36",
        ),
        (
            "cp311-cp311-win_amd64",
            "",
            "only wheels of it for win_amd64, not for x86_64 with glibc 2.36",
        ),
        ("py3-none-any", ">=3.12", "only wheels of it for Python >=3.12, not 3.11.2"),
    ],
)
def test_a_wheel_that_does_not_fit_is_named_with_the_target(
    desk: Desk, files: LinkPage, tag: str, requires_python: str, reason: str
) -> None:
    make_wheel(files.folder, "demo", "1.0", tag=tag, requires_python=requires_python)
    url = files.file_url(f"demo-1.0-{tag}.whl")
    error = refused(desk, url)
    assert error.message == f"{url} cannot be installed for {TARGET}: there is {reason}"


def test_two_addresses_of_one_package_are_both_named(desk: Desk) -> None:
    one, two = "https://h/a/demo-1.0-py3-none-any.whl", "https://h/b/demo-1.0-py3-none-any.whl"
    error = refused(desk, one, two)
    assert [str(problem) for problem in error.problems] == [
        f"pip.requirements: `demo` has two addresses: {one} and {two}"
    ]


def test_an_address_and_a_binding_contradict_each_other(desk: Desk) -> None:
    url = "https://h/a/demo-1.0-py3-none-any.whl"
    error = refused(desk, url, indexes={"corp": "https://index.example.com/simple"}, sources={"demo": "corp"})
    assert [str(problem) for problem in error.problems] == [
        f"pip.sources.demo: `demo` has two places: {url} and the index `corp`"
    ]


def test_an_address_and_conda_contradict_each_other(desk: Desk) -> None:
    url = "https://h/a/demo-1.0-py3-none-any.whl"
    with pytest.raises(SpecError) as caught:
        desk.resolve(request=asked(url), provided=("demo==2.0",))
    assert [str(problem) for problem in caught.value.problems] == [
        f"pip.requirements: `demo` is asked of {url}, and conda provides demo 2.0"
    ]


def test_a_missing_file_is_named(desk: Desk, files: LinkPage) -> None:
    error = refused(desk, files.file_url(LOCAL))
    assert isinstance(error, NotFoundError)
    assert error.message == f"{files.file_url(LOCAL)} does not exist (HTTP 404)"


def test_a_server_that_is_down_is_a_network_error(desk: Desk, tmp_path: Path) -> None:
    with LinkPage(tmp_path) as stopped:
        url = stopped.file_url(LOCAL)
    with pytest.raises(NetworkError):
        desk.resolve(request=asked(url))


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        pytest.param(b"<html>log in</html>", "File is not a zip file", id="another page"),
        pytest.param(None, f"`{LOCAL}` does not hold one METADATA of `demo`, as a wheel must", id="another"),
    ],
)
def test_a_file_that_is_no_wheel_of_the_package_is_named(
    desk: Desk, files: LinkPage, tmp_path: Path, content: bytes | None, detail: str
) -> None:
    other = make_wheel(tmp_path, "other", "1.0")
    (files.folder / LOCAL).write_bytes(other.read_bytes() if content is None else content)
    error = refused(desk, files.file_url(LOCAL))
    assert (error.message, error.detail) == (f"{files.file_url(LOCAL)} is not a wheel of `demo`", detail)


def test_a_wheel_of_another_version_than_its_name_says_is_refused(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "2.0").rename(files.folder / LOCAL)
    assert refused(desk, files.file_url(LOCAL)).message == f"`{LOCAL}` says it is version 2.0"


def test_a_requirement_with_an_address_needs_one_in_the_spec(desk: Desk, files: LinkPage) -> None:
    inner = make_wheel(files.folder, "inner", "1.0").name
    make_wheel(
        files.folder,
        "demo",
        "1.0+cu118",
        requires=["inner @ git+https://h/inner.git@v1", 'never @ https://h/n.zip ; extra == "x"'],
    )
    url = files.file_url(LOCAL)
    error = refused(desk, url)
    assert error.message == (
        "`demo` requires `inner` from git+https://h/inner.git@v1, and only the spec says where packages are"
    )
    assert error.hint == 'add it to [pip] packages: "inner @ git+https://h/inner.git@v1"'
    found = desk.resolve(request=asked(url, files.file_url(inner)))
    assert pinned(found) == ["demo==1.0+cu118", "inner==1.0"]
    assert refused(desk, f"demo[x] @ {url}", files.file_url(inner)).hint == (
        'add it to [pip] packages: "never @ https://h/n.zip"'
    )


@pytest.mark.parametrize("place", ["https://h/demo-1.0.tar.gz", "git+https://h/demo.git@main"])
def test_sources_are_refused_without_a_builder(desk: Desk, place: str) -> None:
    error = refused(desk, f"demo @ {place}")
    shown = place
    assert [(str(problem), problem.hint) for problem in error.problems] == [
        (
            f"pip.requirements: `demo` needs to be built from source: {shown}",
            'add it to [pip] build: build = ["demo"]',
        )
    ]


class _Builder:
    """Says of any source what it is given."""

    def __init__(self, metadata: WheelMetadata) -> None:
        self.metadata = metadata
        self.sources: list[DirectSource] = []

    def of(self, source: DirectSource) -> WheelMetadata:
        self.sources.append(source)
        return self.metadata


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as server:
        yield server


def git_client() -> GitClient:
    return GitClient({"PATH": os.environ["PATH"]})


def test_a_builder_hears_of_sources_and_tells_their_names(desk: Desk, git: GitServer) -> None:
    commit = git.repository("demo").commit({"setup.py": "x"})
    builder = _Builder(WheelMetadata(name="Other", version="1.0"))
    index = desk.client()
    finder = DirectFinder(
        index=index,
        store=Store(desk.cache),
        git=git_client(),
        reader=MetadataReader(index, desk.cache / "metadata"),
        builder=builder,
    )
    with pytest.raises(SpecError) as caught:
        finder.find(asked(f"git+{git.address('demo')}@main#egg=demo").pip.requirements, TARGET, sources={})
    address = f"git+{git.address('demo')}@main"
    assert [(str(problem), problem.hint) for problem in caught.value.problems] == [
        (f"pip.requirements: {address} is `Other`, not `demo`", f"write `other @ {address}`")
    ]
    (source,) = builder.sources
    assert (source.commit, source.reference) == (commit, "main")
    assert Store(desk.cache).holds(source.sha256, source.size)


def test_a_repository_is_fetched_again_only_where_its_sources_are_missing(
    desk: Desk, git: GitServer, tmp_path: Path
) -> None:
    repository = git.repository("demo")
    repository.commit({"setup.py": "x", "pyproject.toml": "requires = ['setuptools_scm']"})
    repository.git("tag", "v1.0")
    reference = parse_direct(f"demo @ git+{git.address('demo')}@main")

    def fetch(cache: Path, known: DirectSource | None = None) -> DirectSource:
        return fetch_direct(reference, index=desk.client(), store=Store(cache), git=git_client(), known=known)

    source = fetch(tmp_path / "one")
    assert source.described is not None
    count = len(git.requests)
    assert fetch(tmp_path / "one", source) == source
    assert len(git.requests) == count
    # later commits and tags change nothing of what is locked
    repository.git("tag", "v1.1")
    repository.commit({"more": "y"})
    assert fetch(tmp_path / "two", source) == source
    assert fetch(tmp_path / "two").commit != source.commit
    with pytest.raises(IntegrityError) as caught:
        fetch(tmp_path / "three", replace(source, sha256="ab" * 32))
    assert caught.value.message.startswith(f"{git.address('demo')} at {source.commit} is not what was locked")


def test_an_archive_is_fetched_as_it_is(desk: Desk, files: LinkPage) -> None:
    (files.folder / "demo-1.0.tar.gz").write_bytes(b"x" * 1000)
    reference = parse_direct(f"{files.file_url('demo-1.0.tar.gz')}#subdirectory=py")
    source = fetch_direct(reference, index=desk.client(), store=Store(desk.cache), git=git_client())
    assert (source.kind, source.name, source.size, source.subdirectory) == ("archive", "demo", 1000, "py")
    assert Store(desk.cache).verify(source.sha256)


def test_pip_tools_takes_wheels_by_address_too(desk: Desk, files: LinkPage) -> None:
    make_wheel(files.folder, "demo", "1.0+cu118", requires=["lib"], extras={"fast": ["quick"]})
    make_wheel(desk.folder, "lib", "1.0")
    make_wheel(desk.folder, "quick", "1.0")
    found = desk.resolve(
        request=asked(f"demo[fast] @ {files.file_url(LOCAL)}", resolver="pip-tools"),
        resolver="pip-tools",
        target=THIS_PYTHON,
    )
    assert pinned(found) == ["demo==1.0+cu118", "lib==1.0", "quick==1.0"]
