import pytest

from envbuild.errors import NoSolutionError, SpecError
from envbuild.lock.codec import dumps
from envbuild.resolve.compose import choose_user, compose_env
from envbuild.resolve.environment import Foundation, Upgrade, lock_environment
from envbuild.resolve.gpu.architectures import Reading
from envbuild.resolve.progress import SilentProgress
from envbuild.spec.request import ImageRequest, PipRequest, SystemRequest
from tests.rig.locks import (
    BASE_DEBS,
    GIT,
    INSTALLER,
    WHEELS,
    hexadecimal,
    packages_base,
    request,
    sample_lock,
)

FOUNDATION = Foundation(
    base=packages_base(), interpreter=sample_lock().targets[0].interpreter, debs=BASE_DEBS
)


ENVIRONMENT = tuple(wheel for wheel in WHEELS if wheel is not INSTALLER)


class FakeResolvers:
    """Answers from the sample lock and remembers what it was asked."""

    def __init__(self, wheels=ENVIRONMENT):
        self.asked: list[str] = []
        self.wheels = wheels

    def foundation(self, request, platform, *, previous, upgrade, progress):
        self.asked.append("foundation")
        return FOUNDATION

    def system(self, request, foundation, *, previous, upgrade, progress):
        self.asked.append("system")
        return (GIT,)

    def python(self, request, foundation, *, previous, upgrade, progress):
        self.asked.append("python")
        return self.wheels

    def architectures(self, request, wheels, *, progress):
        self.asked.append("architectures")
        return Reading()

    def installer(self, foundation, *, previous, progress):
        return previous or INSTALLER

    def tools(self):
        return {"uv": "0.9.0", "apt": "2.6.1"}


def lock_with(resolvers, asked=None, previous=None, upgrade=None):
    return lock_environment(
        asked or request(),
        previous=previous,
        resolvers=resolvers,
        upgrade=upgrade or Upgrade(),
        progress=SilentProgress(),
    )


def with_variant(**fields):
    asked = request()
    variant = asked.variants["default"].model_copy(update=fields)
    return asked.model_copy(update={"variants": {"default": variant}})


def test_the_parts_make_the_sample_lock():
    assert dumps(lock_with(FakeResolvers())) == dumps(sample_lock())


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"image": ImageRequest(user="me")}, [], id="image"),
        pytest.param({"pip": PipRequest(requirements=("six",))}, ["python"], id="pip"),
        pytest.param({"system": SystemRequest(packages=("git", "curl"))}, ["system"], id="system"),
        pytest.param({"python": "3.12"}, ["foundation"], id="python"),
    ],
)
def test_only_what_changed_is_resolved_again(fields, asked):
    resolvers = FakeResolvers()
    lock_with(resolvers, asked=with_variant(**fields), previous=sample_lock())
    assert resolvers.asked == asked


@pytest.mark.parametrize(
    ("upgrade", "asked"),
    [
        (Upgrade(everything=True), ["foundation", "system", "python"]),
        (Upgrade(packages=frozenset({"numpy"})), ["python"]),
        (Upgrade(packages=frozenset({"git"})), ["system"]),
        (Upgrade(packages=frozenset({"bash"})), ["foundation"]),
        (Upgrade(packages=frozenset({"unknown"})), []),
    ],
    ids=["everything", "wheel", "deb", "base", "unknown"],
)
def test_an_upgrade_asks_only_who_can_answer(upgrade, asked):
    resolvers = FakeResolvers()
    lock_with(resolvers, previous=sample_lock(), upgrade=upgrade)
    assert resolvers.asked == asked


def test_two_variants_on_one_base_ask_for_it_once():
    asked = request()
    asked = asked.model_copy(
        update={"variants": dict.fromkeys(("cpu", "default"), asked.variants["default"])}
    )
    resolvers = FakeResolvers()
    lock = lock_with(resolvers, asked=asked)
    assert resolvers.asked.count("foundation") == 1
    assert [target.variant for target in lock.targets] == ["cpu", "default"]


def test_one_name_for_two_files_is_refused():
    impostor = INSTALLER.model_copy(update={"sha256": hexadecimal("impostor")})
    with pytest.raises(NoSolutionError, match="two indexes publish different files"):
        lock_with(FakeResolvers(wheels=(impostor,)))


def test_the_environment_has_the_prefix_first_and_the_spec_last():
    variant = request().variants["default"]
    variant = variant.model_copy(update={"image": ImageRequest(env={"LANG": "de_DE.UTF-8"})})
    env = compose_env(variant, packages_base())
    assert env["PATH"].startswith("/opt/venv/bin:/usr/local/sbin:")
    assert env["LANG"] == "de_DE.UTF-8"
    assert env["PYTHONHASHSEED"] == "7"
    assert list(env) == sorted(env)


@pytest.mark.parametrize(
    ("name", "users", "expected"),
    [
        ("app", {"root": "0:0"}, (1000, 1000)),
        ("app", {"root": "0:0", "node": "1000:1001"}, (1002, 1002)),
        ("node", {"root": "0:0", "node": "1000:1001"}, (1000, 1001)),
        ("root", {}, (0, 0)),
    ],
)
def test_the_account_is_the_bases_own_or_the_first_free(name, users, expected):
    user = choose_user(name, packages_base().model_copy(update={"users": users}))
    assert (user.uid, user.gid) == expected


def test_a_number_is_no_account():
    with pytest.raises(SpecError):
        choose_user("1000", packages_base())
