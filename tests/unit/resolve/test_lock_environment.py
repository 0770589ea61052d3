from dataclasses import replace

import pytest

from envbuild.errors import NoSolutionError, SpecError
from envbuild.lock.codec import dumps, loads
from envbuild.lock.gpu import GpuArchitectures
from envbuild.platforms import DEFAULT_PATH
from envbuild.progress import SilentProgress
from envbuild.resolve.compose import choose_user, compose_env
from envbuild.resolve.gpu.architectures import WheelArchitectures
from envbuild.resolve.lock_environment import lock_environment
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import (
    BaseRequest,
    CondaRequest,
    GpuRequest,
    ImageRequest,
    PipRequest,
    SystemRequest,
)
from tests.rig.locks import (
    INSTALLER,
    conda_lock,
    conda_package,
    hexadecimal,
    image_base,
    packages_base,
    request,
    sample_lock,
    wheel,
)
from tests.rig.resolvers import FOUNDATION, FakeResolvers


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
        (Upgrade(everything=True), ["foundation", "python", "system"]),
        (Upgrade(packages=frozenset({"numpy"})), ["python"]),
        (Upgrade(packages=frozenset({"NumPy"})), ["python"]),
        (Upgrade(packages=frozenset({"git"})), ["system"]),
        (Upgrade(packages=frozenset({"bash"})), ["foundation"]),
        (Upgrade(packages=frozenset({"unknown"})), []),
    ],
    ids=["everything", "wheel", "wheel as written", "deb", "base", "unknown"],
)
def test_an_upgrade_asks_only_who_can_answer(upgrade, asked):
    resolvers = FakeResolvers()
    lock_with(resolvers, previous=sample_lock(), upgrade=upgrade)
    # wheels and system packages are asked for at the same time
    assert (resolvers.asked[:1], sorted(resolvers.asked)) == (asked[:1], sorted(asked))


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"python": "3.12"}, [], id="the base's python"),
        pytest.param({"pip": PipRequest(requirements=("six",))}, ["python"], id="pip"),
        pytest.param({"conda": CondaRequest(channels=("lab",))}, ["conda"], id="conda"),
        pytest.param({"conda": None}, ["foundation", "python"], id="no conda any more"),
    ],
)
def test_only_what_changed_is_resolved_again_with_conda_packages(fields, asked):
    previous, resolvers = conda_lock(), FakeResolvers()
    variant = previous.request.variants["default"].model_copy(update=fields)
    lock_with(resolvers, previous.request.model_copy(update={"variants": {"default": variant}}), previous)
    assert resolvers.asked == asked


def test_pins_of_a_version_1_lock_survive_a_table_of_version_2():
    previous, resolvers = loads(dumps(sample_lock())), FakeResolvers()
    lock = lock_with(resolvers, with_variant(image=ImageRequest(user="me")), previous)
    text = dumps(lock, version_of_table={"request.variants.*.image.user": 2})
    assert "\nversion = 2\n" in text
    assert resolvers.asked == []
    assert (loads(text).wheels, loads(text).debs) == (previous.wheels, previous.debs)


def test_a_lock_with_conda_packages_is_taken_over_whole():
    previous = conda_lock()
    assert dumps(lock_with(FakeResolvers(), previous.request, previous)) == dumps(previous)


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


def test_what_the_spec_prepends_stands_before_the_base_s_own_value():
    base = packages_base()
    base = base.model_copy(update={"env": {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}})
    image = ImageRequest(prepend={"PATH": ("/b", "/a"), "LD_LIBRARY_PATH": ("/x",), "PYTHONPATH": ("/y",)})
    variant = request().variants["default"].model_copy(update={"image": image})

    env = compose_env(variant, base)

    assert env["PATH"] == f"/opt/venv/bin:/b:/a:{DEFAULT_PATH}"
    assert env["LD_LIBRARY_PATH"] == "/x:/usr/local/cuda/lib64"
    assert env["PYTHONPATH"] == "/y"


def test_what_conda_s_scripts_left_open_is_settled_with_the_base_s_variables():
    base = packages_base()
    base = base.model_copy(update={"env": {**base.env, "LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}})
    package = conda_package(
        "tool",
        env={"LD_LIBRARY_PATH": "/opt/conda/lib:${LD_LIBRARY_PATH:-}", "PATH": "/opt/conda/tool:${PATH}"},
    )

    env = compose_env(request().variants["default"], base, conda=[package])

    assert env["LD_LIBRARY_PATH"] == "/opt/conda/lib:/usr/local/cuda/lib64"
    assert env["PATH"].startswith("/opt/conda/tool:/opt/conda/bin:/usr/local/sbin:")


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


TORCH = wheel("torch", "2.14.1", requires=("nvidia-cuda-runtime==13.0.96",))
CUDART = wheel("nvidia-cuda-runtime", "13.0.96")


class GpuResolvers(FakeResolvers):
    """Has wheels for CUDA 13 whose device code is that of two architectures."""

    def __init__(self):
        super().__init__(wheels=(CUDART, TORCH.model_copy(update={"file": PLATFORM_WHEEL})))

    def architectures(self, request, wheels):
        self.asked.append("architectures")
        return WheelArchitectures(
            (
                GpuArchitectures(
                    wheel=PLATFORM_WHEEL,
                    library="torch/lib/libtorch_cuda.so",
                    role="framework",
                    cubins={"sm_75": 475, "sm_80": 475},
                ),
            )
        )


PLATFORM_WHEEL = "torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl"


def gpu_request(**fields):
    return with_variant(gpu=GpuRequest(**fields), system=SystemRequest())


def test_a_target_for_gpus_has_its_cuda_and_the_environment_of_the_runtime():
    resolvers = GpuResolvers()
    (target,) = lock_with(resolvers, asked=gpu_request(targets=("T4",), driver=">=580")).targets
    assert (target.gpu.runtime, target.gpu.image) == ("13.0", "slim")
    assert [(verdict.target, verdict.ok) for verdict in target.gpu.fleet] == [("T4", True)]
    assert target.env["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert resolvers.asked == ["foundation", "python", "architectures"]


def test_architectures_are_read_only_for_a_fleet():
    resolvers = GpuResolvers()
    (target,) = lock_with(resolvers, asked=gpu_request()).targets
    assert target.gpu.architectures == target.gpu.fleet == ()
    assert "architectures" not in resolvers.asked


def test_architectures_of_the_same_wheels_are_taken_over():
    previous = lock_with(GpuResolvers(), asked=gpu_request(targets=("T4",)))
    resolvers = GpuResolvers()
    lock = lock_with(resolvers, asked=gpu_request(targets=("T4", "A100")), previous=previous)
    assert resolvers.asked == []
    assert lock.targets[0].gpu.architectures == previous.targets[0].gpu.architectures
    assert [verdict.target for verdict in lock.targets[0].gpu.fleet] == ["T4", "A100"]


def test_a_fleet_that_cannot_run_it_is_an_error_with_every_reason():
    with pytest.raises(NoSolutionError) as caught:
        lock_with(GpuResolvers(), asked=gpu_request(targets=("A100", "T4", "V100"), driver=">=525"))
    assert caught.value.message == "the environment does not run on the whole fleet"
    assert [problem.where for problem in caught.value.problems] == [
        "A100 with driver 525",
        "T4 with driver 525",
        "V100 with driver 525",
    ]
    assert "580" in caught.value.problems[0].message


def test_names_that_are_no_gpus_are_refused_before_anything_is_resolved():
    resolvers = GpuResolvers()
    with pytest.raises(SpecError) as caught:
        lock_with(resolvers, asked=gpu_request(targets=("T44", "A100", "H10000")))
    assert [str(problem) for problem in caught.value.problems] == [
        "gpu.targets: unknown GPU `T44`",
        "gpu.targets: unknown GPU `H10000`",
    ]
    assert resolvers.asked == []


def test_gpus_of_amd_are_names_of_their_own():
    resolvers = GpuResolvers()
    with pytest.raises(SpecError) as caught:
        lock_with(resolvers, asked=gpu_request(vendor="amd", targets=("MI300X", "T4")))
    assert [str(problem) for problem in caught.value.problems] == ["gpu.targets: unknown GPU `T4`"]


def test_a_base_from_packages_that_lacks_what_wheels_look_for_is_refused():
    resolvers = FakeResolvers(wheels=(wheel("onnxruntime-gpu", "1.22.0"),))
    with pytest.raises(NoSolutionError) as caught:
        lock_with(resolvers, asked=gpu_request())
    assert caught.value.message == "the base does not have what the wheels look for"
    assert [problem.where for problem in caught.value.problems] == ["base"]


def test_without_a_base_it_is_matched_and_stays_matched():
    asked = gpu_request()
    variant = asked.variants["default"].model_copy(update={"base": BaseRequest()})
    asked = asked.model_copy(update={"variants": {"default": variant}})
    resolvers = ImageResolvers()
    lock = lock_with(resolvers, asked=asked)
    assert lock.bases[0].image.reference == "python:3.11-slim-bookworm"
    assert lock.request.variants["default"].base == BaseRequest()
    again = ImageResolvers()
    assert lock_with(again, asked=asked, previous=lock) == lock
    assert again.asked == []


class ImageResolvers(GpuResolvers):
    """Stands on the image that is asked for."""

    def foundation(self, request, platform, *, previous):
        self.asked.append("foundation")
        return replace(FOUNDATION, base=image_base(request.base.image), debs=())
