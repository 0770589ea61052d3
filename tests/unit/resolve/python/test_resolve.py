import importlib.metadata
import platform
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from envbuild.errors import EnvbuildError, NetworkError, NoSolutionError
from envbuild.lock.model import Libc, Wheel
from envbuild.platforms import AMD64, ARM64, host
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.resolve.python.backend import OnCandidate, Pin, PythonResolver, Question
from envbuild.resolve.python.resolve import INSTALLER, pin_tool, resolve_python
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest
from tests.rig.desk import TARGET, Desk
from tests.rig.index import PackageIndex, make_sdist, make_wheel

# each starts uv, the real one
pytestmark = pytest.mark.slow

OWN = TargetPython(host() or AMD64, Libc(family="glibc", version="2.36"), platform.python_version())
"""What pip-tools can resolve for: the Python the tests run on."""

CP = f"cp{OWN.minor[0]}{OWN.minor[1]}"
MACHINE = OWN.platform.machine


def pinned(wheels: tuple[Wheel, ...]) -> list[str]:
    return [f"{wheel.name}=={wheel.version}" for wheel in wheels]


def request_for(*requirements: str, **pip: Any) -> VariantRequest:
    snapshot = pip.pop("snapshot", None)
    return VariantRequest(
        python="3.11",
        snapshot=snapshot,
        base=BaseRequest(image="base"),
        pip=PipRequest(requirements=requirements, **pip),
    )


def test_a_wheel_carries_all_a_lock_needs(desk: Desk) -> None:
    path = make_wheel(
        desk.folder,
        "Demo.App",
        "1.0",
        requires=["lib>=1", 'win; sys_platform == "win32"'],
        requires_python=">=3.8",
    )
    make_wheel(desk.folder, "lib", "1.5")
    app, lib = desk.resolve("demo-app")
    assert app == Wheel(
        name="demo-app",
        version="1.0",
        file="demo_app-1.0-py3-none-any.whl",
        size=path.stat().st_size,
        sha256=sha256(path.read_bytes()).hexdigest(),
        path="files/demo_app-1.0-py3-none-any.whl",
        uploaded=datetime(2025, 1, 1, tzinfo=UTC),
        requires_python=">=3.8",
        requires=("lib>=1",),
        license="Apache-2.0",
    )
    assert (lib.name, lib.version) == ("lib", "1.5")


def test_nothing_asked_is_nothing_resolved(desk: Desk) -> None:
    assert desk.resolve() == ()
    assert desk.index.requests == []


def test_extras_and_markers_are_those_of_the_target(desk: Desk) -> None:
    make_wheel(
        desk.folder,
        "app",
        "1.0",
        requires=['arm; platform_machine == "aarch64"', 'intel; platform_machine == "x86_64"'],
        extras={"fast": ["speedup"], "slow": ["sleep"]},
    )
    for name in ("arm", "intel", "speedup", "sleep"):
        make_wheel(desk.folder, name, "1.0")
    assert pinned(desk.resolve("app[fast]")) == ["app==1.0", "intel==1.0", "speedup==1.0"]
    arm = TargetPython(ARM64, Libc(family="glibc", version="2.41"), "3.13.1")
    found = desk.resolve("app", target=arm)
    assert pinned(found) == ["app==1.0", "arm==1.0"]
    assert found[0].requires == ('arm; platform_machine == "aarch64"',)


def test_each_platform_gets_its_own_file(desk: Desk) -> None:
    for tag in ("manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_aarch64", "win_amd64"):
        make_wheel(desk.folder, "app", "1.0", tag=f"cp311-cp311-{tag}")
    (amd64,) = desk.resolve("app")
    assert amd64.file == "app-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    (arm64,) = desk.resolve("app", target=TargetPython(ARM64, TARGET.libc, "3.11.2"))
    assert arm64.file == "app-1.0-cp311-cp311-manylinux_2_17_aarch64.whl"


def test_a_base_with_an_older_libc_gets_an_older_version(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    make_wheel(desk.folder, "app", "2.0", tag="cp311-cp311-manylinux_2_34_x86_64")
    assert pinned(desk.resolve("app")) == ["app==2.0"]
    older = TargetPython(AMD64, Libc(family="glibc", version="2.31"), "3.11.2")
    assert pinned(desk.resolve("app", target=older)) == ["app==1.0"]


def test_constraints_bound_and_ask_for_nothing(desk: Desk) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(desk.folder, "app", version)
    make_wheel(desk.folder, "unasked", "1.0")
    found = desk.resolve(request=request_for("app", constraints=("app<2", "unasked==1.0")))
    assert pinned(found) == ["app==1.0"]


def test_a_snapshot_hides_what_came_later(package_index: PackageIndex, desk: Desk) -> None:
    for version in ("1.0", "2.0", "3.0"):
        make_wheel(desk.folder, "app", version)
    desk.index._uploaded.update(
        {
            "app-1.0-py3-none-any.whl": "2026-03-01T12:00:00Z",
            "app-2.0-py3-none-any.whl": "2026-03-01T23:59:59Z",
            "app-3.0-py3-none-any.whl": "2026-03-02T00:00:00Z",
        }
    )
    assert pinned(desk.resolve(request=request_for("app", snapshot=date(2026, 3, 1)))) == ["app==2.0"]
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve(request=request_for("app", snapshot=date(2026, 2, 28)))
    assert caught.value.message == (
        "`app` 3.0 cannot be installed: the index has no file of it from before the end of 2026-02-28"
    )


# --- named indexes ------------------------------------------------------------------------------


def test_a_bound_package_comes_from_its_index_alone(desk: Desk, other_index: PackageIndex) -> None:
    make_wheel(desk.folder, "torch", "9.0")
    make_wheel(desk.folder, "helper", "1.0")
    make_wheel(other_index.folder, "torch", "2.6.0+cpu", requires=["helper"])
    make_wheel(other_index.folder, "helper", "5.0")
    request = request_for("torch", indexes={"wheels": other_index.index_url}, sources={"torch": "wheels"})
    helper, torch = desk.resolve(request=request)
    assert (torch.version, torch.index) == ("2.6.0+cpu", "wheels")
    assert (helper.version, helper.index) == ("1.0", "default")
    assert desk.index.requested("torch") == 0


def test_a_binding_holds_for_what_others_require(desk: Desk, other_index: PackageIndex) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["lib", "only-there"])
    make_wheel(desk.folder, "lib", "9.0")
    make_wheel(other_index.folder, "lib", "2.0")
    make_wheel(other_index.folder, "only-there", "1.0")
    request = request_for(
        "app",
        indexes={"corp": other_index.index_url},
        sources={"lib": "corp", "only-there": "corp", "unused": "corp"},
    )
    found = desk.resolve(request=request)
    assert [(wheel.name, wheel.version, wheel.index) for wheel in found] == [
        ("app", "1.0", "default"),
        ("lib", "2.0", "corp"),
        ("only-there", "1.0", "corp"),
    ]


def test_a_binding_of_something_no_longer_needed_adds_nothing(desk: Desk, other_index: PackageIndex) -> None:
    make_wheel(desk.folder, "app", "1.0")
    make_wheel(other_index.folder, "lib", "2.0", requires=["more"])
    make_wheel(desk.folder, "more", "1.0")
    locked = Wheel(name="lib", version="2.0", file="lib-2.0-py3-none-any.whl", size=1, sha256="0" * 64)
    request = request_for("app", indexes={"corp": other_index.index_url}, sources={"lib": "corp"})
    assert pinned(desk.resolve(request=request, previous=(locked,))) == ["app==1.0"]


def test_a_package_bound_to_the_default_index_needs_no_other(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    (wheel,) = desk.resolve(request=request_for("app", sources={"app": "default"}))
    assert wheel.index == "default"


def test_credentials_of_both_indexes_reach_uv(desk: Desk, other_index: PackageIndex) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["lib"])
    make_wheel(other_index.folder, "lib", "2.0")
    with (
        PackageIndex(desk.folder, auth=("me", "p@ss")) as main,
        PackageIndex(other_index.folder, auth=("reader", "w0rd")) as corp,
    ):
        desk.configuration = ClientConfiguration(
            default_url=main.index_url.replace("://", "://me:p%40ss@"),
            overrides={
                "ENVBUILD_INDEX_CORP_USERNAME": "reader",
                "ENVBUILD_INDEX_CORP_PASSWORD": "w0rd",
            },
        )
        request = request_for("app", indexes={"corp": corp.index_url}, sources={"lib": "corp"})
        assert pinned(desk.resolve(request=request)) == ["app==1.0", "lib==2.0"]


@pytest.mark.slow
@pytest.mark.parametrize("resolver", ["uv", "pip-tools"])
def test_credentials_of_netrc_reach_everyone(
    desk: Desk, resolver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login reader password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    desk.environment["NETRC"] = str(netrc)
    make_wheel(desk.folder, "app", "1.0")
    with PackageIndex(desk.folder, auth=("reader", "s3cret")) as guarded:
        desk.configuration = ClientConfiguration(default_url=guarded.index_url)
        assert pinned(desk.resolve("app", resolver=resolver, target=OWN)) == ["app==1.0"]


# --- locking again ------------------------------------------------------------------------------


def two_versions(desk: Desk) -> tuple[Wheel, ...]:
    for name in ("app", "lib"):
        make_wheel(desk.folder, name, "1.0", requires=["lib"] if name == "app" else [])
    found: tuple[Wheel, ...] = desk.resolve("app")
    for name in ("app", "lib"):
        make_wheel(desk.folder, name, "2.0", requires=["lib"] if name == "app" else [])
    return found


def test_what_is_locked_stays(desk: Desk) -> None:
    locked = two_versions(desk)
    assert desk.resolve("app", previous=locked) == locked


def test_what_is_locked_gives_way_to_the_request(desk: Desk) -> None:
    locked = two_versions(desk)
    assert pinned(desk.resolve("app>=2", previous=locked)) == ["app==2.0", "lib==1.0"]


def test_upgrade_forgets_what_is_locked(desk: Desk) -> None:
    locked = two_versions(desk)
    assert pinned(desk.resolve("app", previous=locked, upgrade=Upgrade(everything=True))) == [
        "app==2.0",
        "lib==2.0",
    ]


def test_upgrade_of_one_package_leaves_the_others(desk: Desk) -> None:
    locked = two_versions(desk)
    assert pinned(desk.resolve("app", previous=locked, upgrade=Upgrade(packages=frozenset({"Lib"})))) == [
        "app==1.0",
        "lib==2.0",
    ]


def test_a_locked_file_stays_when_a_better_one_appears(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    locked = desk.resolve("app")
    make_wheel(desk.folder, "app", "1.0", tag="cp311-none-any")
    assert desk.resolve("app", previous=locked) == locked
    (upgraded,) = desk.resolve("app", previous=locked, upgrade=Upgrade(everything=True))
    assert upgraded.file == "app-1.0-cp311-none-any.whl"


# --- odd indexes --------------------------------------------------------------------------------


def test_an_index_without_hashes_and_sizes_is_hashed(desk: Desk) -> None:
    path = make_wheel(desk.folder, "app", "1.0", requires=["lib"])
    make_wheel(desk.folder, "lib", "1.0")
    desk.index.faults.html_only = True
    desk.index.faults.without_hash.add(path.name)
    app, lib = desk.resolve("app")
    assert (app.hash_source, lib.hash_source) == ("computed", "index")
    assert app.sha256 == sha256(path.read_bytes()).hexdigest()
    assert app.size == path.stat().st_size
    assert app.requires == ("lib",)
    assert desk.progress.notes == [
        "index `default` has no sha256 of `app-1.0-py3-none-any.whl`: fetching it to compute one"
    ]
    assert list(desk.cache.glob(".hashing-*")) == []


def test_a_yanked_version_is_noted(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    desk.index._yanked["app-1.0-py3-none-any.whl"] = "corrupts data"
    assert pinned(desk.resolve("app==1.0")) == ["app==1.0"]
    assert desk.progress.notes == ["`app` 1.0 was withdrawn by its maintainers (yanked): corrupts data"]


def test_settings_that_are_not_used_are_noted(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    desk.configuration = ClientConfiguration(default_url=desk.index.index_url, ignored=("extra-index-url",))
    desk.resolve("app")
    (note,) = desk.progress.notes
    assert note.startswith("extra-index-url of this machine's pip and uv settings not used")


def test_what_happens_is_told(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    desk.resolve("app")
    assert desk.progress.stages[0] == "resolving Python packages with uv"
    assert "uv is looking at app 1.0" in desk.progress.items
    assert desk.progress.counts == [(1, 1)]


# --- no solution --------------------------------------------------------------------------------

Arrange = Callable[[Desk], object]


@pytest.mark.slow
@pytest.mark.parametrize("resolver", ["uv", "pip-tools"])
@pytest.mark.parametrize(
    ("arrange", "asked", "message"),
    [
        pytest.param(
            lambda desk: make_sdist(desk.folder, "app", "1.0"),
            "app",
            "`app` 1.0 cannot be installed: the index has only a source archive of it",
            id="source only",
        ),
        pytest.param(
            lambda desk: make_wheel(desk.folder, "app", "1.0", tag=f"{CP}-{CP}-win_amd64"),
            "app",
            "`app` 1.0 cannot be installed: the index has only wheels of it for win_amd64, "
            "not for {machine} with glibc 2.36",
            id="other platforms",
        ),
        pytest.param(
            lambda desk: make_wheel(desk.folder, "app", "1.0", tag=f"{CP}-{CP}-manylinux_2_99_{MACHINE}"),
            "app",
            "`app` 1.0 cannot be installed: the index has only wheels of it that need glibc 2.99 or newer; "
            "the base has 2.36",
            id="newer libc",
        ),
        pytest.param(
            lambda desk: make_wheel(desk.folder, "app", "1.0"),
            "app>=2",
            "no version of `app` is >=2; the newest on the index is 1.0",
            id="no such version",
        ),
        pytest.param(
            lambda desk: make_wheel(desk.folder, "app", "1.0"),
            "ap",
            "`ap` is not on the index {index}",
            id="unknown",
        ),
        pytest.param(
            lambda desk: make_wheel(desk.folder, "app", "1.0", requires=["libb"]),
            "app",
            "`libb` is not on the index {index}",
            id="unknown, required by another",
        ),
    ],
)
def test_why_there_is_no_solution(
    desk: Desk, resolver: str, arrange: Arrange, asked: str, message: str
) -> None:
    arrange(desk)
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve(asked, resolver=resolver, target=OWN)
    assert caught.value.message == message.format(index=f"{desk.index.url}/simple", machine=MACHINE)
    assert caught.value.hint
    assert "\x1b" not in (caught.value.detail or "")
    assert "Traceback" not in (caught.value.detail or "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("resolver", "words"),
    [
        ("uv", "Because all versions of app depend on lib<2 and you require app"),
        ("pip-tools", "app 1.0 depends on lib<2"),
    ],
)
def test_a_conflict_is_told_in_the_resolvers_words(desk: Desk, resolver: str, words: str) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["lib<2"])
    for version in ("1.0", "2.0"):
        make_wheel(desk.folder, "lib", version)
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve("app", "lib>=2", resolver=resolver, target=OWN)
    assert caught.value.message == f"the Python requirements cannot be met for {OWN}"
    assert caught.value.hint == "change one of the requirements named above"
    assert words in (caught.value.detail or "")
    assert "/tmp" not in (caught.value.detail or "")  # noqa: S108 - our own files mean nothing to a user


def test_several_packages_without_wheels_are_all_named(desk: Desk) -> None:
    make_sdist(desk.folder, "one", "1.0")
    make_wheel(desk.folder, "two", "1.0", tag=f"{CP}-{CP}-win_amd64")
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve("one", "two", target=OWN)
    assert [problem.message.partition(":")[0] for problem in caught.value.problems] == [
        "`one` 1.0 cannot be installed",
        "`two` 1.0 cannot be installed",
    ]


@pytest.mark.slow
def test_a_file_pip_would_take_and_the_base_cannot_is_refused(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0", tag=f"{CP}-{CP}-manylinux_2_34_{MACHINE}")
    older = TargetPython(OWN.platform, Libc(family="glibc", version="2.31"), OWN.version)
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve("app", target=older, resolver="pip-tools")
    assert caught.value.message == (
        "`app` 1.0 cannot be installed: the index has only wheels of it that need glibc 2.34 or newer; "
        "the base has 2.31"
    )
    assert caught.value.hint == 'resolver = "uv" chooses versions that the base itself can load'


@pytest.mark.slow
@pytest.mark.parametrize("resolver", ["uv", "pip-tools"])
def test_an_index_that_is_down_is_a_network_error(desk: Desk, resolver: str) -> None:
    with PackageIndex(desk.folder) as stopped:
        url = stopped.index_url
    desk.configuration = ClientConfiguration(default_url=url)
    desk.environment["UV_HTTP_RETRIES"] = "0"
    with pytest.raises(NetworkError) as caught:
        desk.resolve("app", resolver=resolver, target=OWN)
    assert caught.value.message == f"cannot reach {url}app/"


def test_refused_credentials_are_a_network_error(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    with PackageIndex(desk.folder, auth=("me", "right")) as guarded:
        desk.configuration = ClientConfiguration(default_url=guarded.index_url.replace("://", "://me:wrong@"))
        with pytest.raises(NetworkError) as caught:
            desk.resolve("app")
    assert caught.value.message == f"{guarded.host} refused the credentials (HTTP 401)"


class FakeResolver:
    """Answers what it is told to."""

    name = "fake"

    def __init__(self, answer: tuple[Pin, ...] | EnvbuildError) -> None:
        self.answer = answer

    def tools(self) -> dict[str, str]:
        return {}

    def resolve(self, question: Question, *, on_candidate: OnCandidate = lambda *_: None) -> tuple[Pin, ...]:
        if isinstance(self.answer, EnvbuildError):
            raise self.answer
        return self.answer


_: type[PythonResolver] = FakeResolver


def ask_fake(desk: Desk, answer: tuple[Pin, ...] | EnvbuildError) -> tuple[Wheel, ...]:
    return resolve_python(
        request_for("app"),
        TARGET,
        resolver=FakeResolver(answer),
        index=desk.client(),
        cache=desk.cache,
        progress=desk.progress,
    ).wheels


def test_a_resolver_that_leaves_something_out_is_caught(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["lib"])
    with pytest.raises(EnvbuildError) as caught:
        ask_fake(desk, (Pin(name=canonicalize_name("app"), version="1.0"),))
    assert caught.value.message == "the resolver left out `lib`, which `app` requires"


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        pytest.param(
            "error: Failed to fetch: `https://files.example.com/x.whl`",
            NetworkError,
            "the resolver could not read an index",
            id="a file host that is down",
        ),
        pytest.param("panic!", EnvbuildError, "uv failed with exit status 101", id="anything else"),
    ],
)
def test_other_failures_keep_the_resolvers_words(
    desk: Desk, said: str, kind: type[EnvbuildError], message: str
) -> None:
    make_wheel(desk.folder, "app", "1.0")
    with pytest.raises(EnvbuildError) as caught:
        ask_fake(desk, EnvbuildError("uv failed with exit status 101", detail=said))
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.detail) == (message, said.removeprefix("error: "))


# --- the installer ------------------------------------------------------------------------------


def test_the_installer_has_the_version_envbuild_runs_with(desk: Desk) -> None:
    version = importlib.metadata.version("installer")
    make_wheel(desk.folder, "installer", version)
    make_wheel(desk.folder, "installer", "99.0")
    wheel = pin_tool(INSTALLER, TARGET, index=desk.client(), cache=desk.cache)
    assert (wheel.name, wheel.version, wheel.index) == ("installer", version, "default")


def test_an_index_without_the_installer_is_an_error(desk: Desk) -> None:
    version = importlib.metadata.version("installer")
    make_wheel(desk.folder, "installer", "99.0")
    with pytest.raises(NoSolutionError) as caught:
        pin_tool(INSTALLER, TARGET, index=desk.client(), cache=desk.cache)
    assert caught.value.message == f"`installer` {version} cannot be installed: the index has no file of it"
