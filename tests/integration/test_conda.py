"""conda packages locked through conda-lock and the solver on py-rattler, from a real channel on loopback."""

import json
import os
import shutil
import sys
from dataclasses import replace

import pytest
import yaml

from envbuild.errors import IntegrityError, NetworkError, NoSolutionError, SpecError
from envbuild.lock.codec import dumps
from envbuild.progress import SILENT
from envbuild.remote.channels import read_channel_configuration
from envbuild.render.conda_files import render_conda_lock
from envbuild.resolve.conda.resolve import CondaResolver
from envbuild.resolve.lock_environment import lock_environment
from envbuild.resolve.outdated.conda import conda_updates
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from envbuild.spec.load import parse_toml
from envbuild.spec.normalize import normalize
from envbuild.spec.validation import validate
from envbuild.store.store import Store
from tests.rig.conda import (
    PYTHON_VERSION,
    SUBDIR,
    Channel,
    ChannelServer,
    packages,
    standard_channel,
    write_package,
)
from tests.rig.resolvers import FakeResolvers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("conda")]

SPEC = """\
name = "lab"
python = "3.11"
[base]
packages = "debian:bookworm"
[conda]
channels = ["lab"]
packages = ["accel", "frames", "geodata"]
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("conda-cache")


@pytest.fixture(scope="module")
def channel():
    with ChannelServer(standard_channel()) as server:
        yield server


@pytest.fixture
def laboratory(channel, cache, tmp_path):
    return Laboratory(channel, cache, tmp_path)


class Laboratory:
    """Locks with real conda packages on a base that nobody resolves."""

    def __init__(self, channel, cache, folder):
        self.folder, self.cache = folder, cache
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ENVBUILD_CHANNEL_LAB_URL": channel.url,
        }

    def request(self, spec):
        validated = validate(parse_toml(spec, "envbuild.toml"))
        assert not validated.problems
        return normalize(validated.spec, self.folder)

    def lock(self, spec=SPEC, *, previous=None, upgrade=NO_UPGRADE):
        return lock_environment(
            self.request(spec),
            previous=previous,
            resolvers=CondaAlone(self, upgrade),
            upgrade=upgrade,
            progress=SILENT,
        )


class CondaAlone(FakeResolvers):
    """Resolves conda packages for real, and nothing else."""

    def __init__(self, laboratory, upgrade):
        super().__init__()
        self.resolver = CondaResolver(
            configuration=read_channel_configuration(laboratory.environment, root=laboratory.folder),
            store=Store(laboratory.cache),
            cache=laboratory.cache,
            environment=laboratory.environment,
            upgrade=upgrade,
        )

    def conda(self, request, foundation, *, previous):
        return self.resolver.resolve(request, foundation.base, previous=previous)

    def tools(self):
        return {}


def builds(lock, position=0):
    return {package.name: package.build for package in lock.conda_of(lock.targets[position])}


def test_variants_get_their_builds_on_a_machine_without_a_gpu(laboratory):
    lock = laboratory.lock(SPEC + '[variants.gpu.conda]\ncuda = "12.6"\n')
    assert [target.variant for target in lock.targets] == ["default", "gpu"]
    assert builds(lock)["accel"] == "cpu_h2_0"
    assert builds(lock, 1)["accel"] == "cuda126_h2_200"
    assert builds(lock, 1)["cuda-cudart"] == "h1_0"
    target = lock.targets[0]
    assert target.interpreter.version == PYTHON_VERSION
    assert (target.interpreter.path, target.interpreter.provider) == (
        "/opt/conda/bin/python3.11",
        "conda python",
    )
    assert target.env["GEODATA"] == "/opt/conda/share/geodata"
    assert target.env["PATH"].startswith("/opt/conda/bin:")
    assert "127.0.0.1" not in dumps(lock)


def test_a_package_of_a_named_channel_comes_from_where_this_machine_has_it(laboratory):
    lock = laboratory.lock(SPEC.replace('"frames"', '"lab::frames >=3"'))
    assert "lab::frames >=3" in lock.request.variants["default"].conda.packages
    assert {package.name: package.channel for package in lock.conda}["frames"] == "lab"
    assert "127.0.0.1" not in dumps(lock)


def test_the_fleet_s_oldest_driver_says_which_cuda_and_conda_packages_say_which_it_is(laboratory):
    lock = laboratory.lock(SPEC + '[gpu]\ndriver = ">=560"\n')
    assert builds(lock)["accel"] == "cuda126_h2_200"
    gpu = lock.targets[0].gpu
    assert gpu is not None
    assert (gpu.runtime, gpu.image) == ("12.6", "slim")
    assert gpu.evidence[0] == "cuda-cudart 12.6.77 is the runtime library of CUDA 12.6"
    assert [library.provider for library in gpu.libraries] == ["conda cuda-cudart"]
    # driver 525 has CUDA 12.0, for which there is no build but the CPU's
    with pytest.raises(NoSolutionError) as caught:
        laboratory.lock(SPEC + '[gpu]\ndriver = ">=525"\n')
    assert caught.value.message == "what was resolved does not fit [gpu]"


def test_what_is_locked_stays_and_an_upgrade_moves_it(laboratory):
    held = SPEC.replace('"frames"', '"arrays <1.25"').replace('"geodata"', '"greetings"')
    first = laboratory.lock(held)
    assert [package.version for package in first.conda if package.name == "arrays"] == ["1.20.0"]
    loose = held.replace("arrays <1.25", "arrays")
    kept = laboratory.lock(loose, previous=first)
    assert [package.version for package in kept.conda if package.name == "arrays"] == ["1.20.0"]
    moved = laboratory.lock(loose, previous=kept, upgrade=Upgrade(packages=frozenset({"arrays"})))
    assert [package.version for package in moved.conda if package.name == "arrays"] == ["1.26.4"]


@pytest.mark.parametrize(
    ("packages", "message", "told", "hint"),
    [
        (
            '"nowhere"',
            f"there is no solution for {SUBDIR}",
            "No candidates were found for nowhere",
            "check the name",
        ),
        (
            '"accel * cuda*"',
            f"there is no solution for {SUBDIR}",
            "__cuda >=12.6",
            "this variant has no CUDA",
        ),
        (
            '"needs-new-libc"',
            f"there is no solution for {SUBDIR}",
            "__glibc >=2.99",
            "the base has glibc 2.36",
        ),
        ('"frames", "arrays <1.25"', f"there is no solution for {SUBDIR}", "arrays >=1.26,<2", None),
    ],
)
def test_the_impossible_is_explained(laboratory, packages, message, told, hint):
    with pytest.raises(NoSolutionError) as caught:
        laboratory.lock(SPEC.replace('"accel", "frames", "geodata"', packages))
    assert caught.value.message == message
    assert told in (caught.value.detail or "")
    assert len((caught.value.detail or "").splitlines()) <= 13
    assert (caught.value.hint or "").startswith(hint or "")


def test_an_unknown_channel_is_named(laboratory, channel):
    with pytest.raises(NetworkError) as caught:
        laboratory.lock(SPEC.replace('"lab"]', f'"{channel.root}/nowhere"]'))
    assert caught.value.message == f"channel `{channel.root}/nowhere` cannot be read"


def test_a_link_script_runs_only_when_it_is_allowed_by_name(laboratory):
    spec = SPEC.replace('"geodata"', '"indexed"')
    with pytest.raises(SpecError) as caught:
        laboratory.lock(spec)
    assert [str(problem) for problem in caught.value.problems] == [
        "conda.link-scripts: `indexed` runs a script when it is installed: bin/.indexed-post-link.sh"
    ]
    lock = laboratory.lock(spec.replace("[conda]", '[conda]\nlink-scripts = ["indexed"]'))
    (package,) = [package for package in lock.conda if package.name == "indexed"]
    assert package.link_scripts == ("bin/.indexed-post-link.sh",)


def test_a_guarded_channel_wants_the_client_s_credentials_and_the_lock_has_none(cache, tmp_path):
    with ChannelServer(standard_channel(), auth=("reader", "pass:word")) as guarded:
        laboratory = Laboratory(guarded, tmp_path / "cache", tmp_path)
        with pytest.raises(NetworkError) as caught:
            laboratory.lock()
        assert "pass:word" not in f"{caught.value.message} {caught.value.detail}"
        (tmp_path / ".rattler").mkdir()
        login = {guarded.host: {"BasicHTTP": {"username": "reader", "password": "pass:word"}}}
        (tmp_path / ".rattler/credentials.json").write_text(json.dumps(login))
        lock = laboratory.lock()
    assert builds(lock)["frames"] == "pyh1_0"
    assert "pass:word" not in dumps(lock)


def test_a_corrupt_package_is_named(tmp_path):
    with ChannelServer(standard_channel()) as server:
        server.faults.corrupt.add("geodata-9.6.0-h1_0.conda")
        with pytest.raises(IntegrityError) as caught:
            Laboratory(server, tmp_path / "cache", tmp_path).lock()
    assert "`geodata-9.6.0-h1_0.conda`" in caught.value.message


def test_a_lock_of_conda_goes_round_and_comes_back_the_same(laboratory, channel):
    first = laboratory.lock()

    def exported(lock):
        return render_conda_lock(
            lock,
            "default",
            address_of=lambda package: f"{channel.url}/{package.path}",
            wheel_address_of=lambda wheel: wheel.file,
        )

    def taken_over(text):
        (laboratory.folder / "conda-lock.yml").write_text(text)
        return laboratory.lock(SPEC[: SPEC.index("[conda]")] + '[conda]\nfiles = ["conda-lock.yml"]\n')

    one = taken_over(exported(first))
    two = taken_over(exported(one))
    assert dumps(one) == dumps(two)
    assert one.conda == first.conda
    documents = [yaml.safe_load(exported(lock))["package"] for lock in (first, two)]
    assert documents[0] == documents[1]


def test_a_package_that_is_gone_from_the_channel_is_named(laboratory, tmp_path):
    pinned = laboratory.lock()
    folder = tmp_path / "channel"
    shutil.copytree(standard_channel().folder, folder)
    (folder / "noarch/geodata-9.6.0-h1_0.conda").unlink()
    Channel(folder).index()
    with ChannelServer(Channel(folder)) as poorer:
        text = render_conda_lock(
            pinned,
            "default",
            address_of=lambda package: f"{poorer.url}/{package.path}",
            wheel_address_of=lambda wheel: wheel.file,
        )
        other = Laboratory(poorer, tmp_path / "cache", tmp_path)
        (tmp_path / "conda-lock.yml").write_text(text)
        with pytest.raises(NoSolutionError) as caught:
            other.lock(SPEC[: SPEC.index("[conda]")] + '[conda]\nfiles = ["conda-lock.yml"]\n')
    assert [str(problem) for problem in caught.value.problems] == [
        "noarch/geodata-9.6.0-h1_0.conda: no channel has it any more"
    ]


def test_a_solver_that_is_not_there_is_named(laboratory):
    with pytest.raises(SpecError) as caught:
        laboratory.lock(SPEC.replace("[conda]", '[conda]\nsolver = "micromamba"'))
    assert [str(problem) for problem in caught.value.problems] == [
        "conda.solver: `micromamba` is not on this machine's PATH"
    ]


def test_a_program_of_the_machine_may_solve(laboratory, tmp_path):
    """Stand in for mamba, which no test machine has: the solver on py-rattler, without its side answer."""
    program = tmp_path / "mamba"
    program.write_text(
        "#!/bin/sh\nunset ENVBUILD_CONDA_ANSWER\n"
        f'exec {sys.executable} -m envbuild.resolve.conda.solver "$@"\n'
    )
    program.chmod(0o755)
    laboratory.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    lock = laboratory.lock(SPEC.replace("[conda]", '[conda]\nsolver = "mamba"'))
    assert lock.conda == laboratory.lock().conda


@pytest.fixture(scope="module")
def both_formats(tmp_path_factory):
    """A channel that has a package in both formats."""
    folder = tmp_path_factory.mktemp("both") / "channel"
    shutil.copytree(standard_channel().folder, folder)
    (old,) = (package for package in packages() if package.name == "old-format")
    write_package(replace(old, extension=".conda"), folder)
    Channel(folder).index()
    with ChannelServer(Channel(folder)) as server:
        yield server


OLD_FILE = f"{SUBDIR}/old-format-1.2-h1_0.tar.bz2"
WITH_OLD = SPEC.replace('"accel", "frames", "geodata"', '"old-format"')


def test_a_pin_of_the_older_format_is_taken_where_the_channel_has_both(
    both_formats, channel, cache, tmp_path
):
    pinned = Laboratory(channel, cache, tmp_path).lock(WITH_OLD)
    assert OLD_FILE in {package.path for package in pinned.conda}
    text = render_conda_lock(
        pinned,
        "default",
        address_of=lambda package: f"{both_formats.url}/{package.path}",
        wheel_address_of=lambda wheel: wheel.file,
    )
    (tmp_path / "conda-lock.yml").write_text(text)

    lock = Laboratory(both_formats, cache, tmp_path).lock(
        SPEC[: SPEC.index("[conda]")] + '[conda]\nfiles = ["conda-lock.yml"]\n'
    )

    assert lock.conda == pinned.conda


@pytest.mark.parametrize(
    ("chosen", "problems"),
    [
        (OLD_FILE, []),
        (
            f"{SUBDIR}/old-format-0.9-h1_0.tar.bz2",
            ["old-format-0.9-h1_0.tar.bz2: no channel of the spec has it"],
        ),
    ],
)
def test_what_a_program_of_the_machine_chose_is_looked_up_in_both_formats(
    both_formats, cache, tmp_path, chosen, problems
):
    """Stand in for a mamba that prefers the older format, or knows a channel of its own."""
    program = tmp_path / "mamba"
    new = f"{SUBDIR}/old-format-1.2-h1_0.conda"
    program.write_text(
        "#!/bin/sh\nunset ENVBUILD_CONDA_ANSWER\n"
        f'{sys.executable} -m envbuild.resolve.conda.solver "$@" | sed "s|{new}|{chosen}|g"\n'
    )
    program.chmod(0o755)
    laboratory = Laboratory(both_formats, cache, tmp_path)
    laboratory.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    spec = WITH_OLD.replace("[conda]", '[conda]\nsolver = "mamba"')
    if problems:
        with pytest.raises(NoSolutionError) as caught:
            laboratory.lock(spec)
        assert [str(problem) for problem in caught.value.problems] == problems
        return
    assert chosen in {package.path for package in laboratory.lock(spec).conda}


def test_newer_versions_of_a_channel_are_found_without_fetching_them(laboratory, channel):
    lock = laboratory.lock(SPEC.replace('"accel", "frames", "geodata"', '"arrays 1.20.*", "greetings"'))
    asked = len(channel.requests)
    resolver = CondaAlone(laboratory, Upgrade(everything=True)).resolver

    updates = conda_updates(resolver, lock.request.variants["default"], lock.bases[0], lock.conda)

    found = {update.name: (update.locked, update.allowed, update.newest) for update in updates}
    assert set(found) == {package.name for package in lock.conda}
    assert found["arrays"] == ("1.20.0", "1.20.0", "1.26.4")
    assert [update.name for update in updates if update.is_outdated] == ["arrays"]
    paths = [request.path for request in channel.requests[asked:]]
    assert not [path for path in paths if path.endswith((".conda", ".tar.bz2"))]
