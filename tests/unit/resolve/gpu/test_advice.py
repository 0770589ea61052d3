import pytest

from envbuild.catalog.tables import BUILT_IN
from envbuild.lock.gpu import GpuArchitectures
from envbuild.resolve.gpu.advice import FleetQuestion, fleet_advice

TORCH_2_14 = GpuArchitectures(
    wheel="torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl",
    library="torch/lib/libtorch_cuda.so",
    role="framework",
    cubins={"sm_75": 475, "sm_80": 475, "sm_86": 475, "sm_90": 479, "sm_100": 534, "sm_120": 476},
)
TORCH_2_7 = GpuArchitectures(
    wheel="torch-2.7.1-cp311-cp311-manylinux_2_28_x86_64.whl",
    library="torch/lib/libtorch_cuda.so",
    role="framework",
    cubins={"sm_50": 378, "sm_60": 378, "sm_70": 378, "sm_75": 378, "sm_80": 378, "sm_86": 378, "sm_90": 381},
)


def ask(*targets: str, driver: str | None = ">=580", packages=None, **changes) -> tuple[str, ...]:
    question = FleetQuestion(
        targets=targets,
        driver=driver,
        cuda=changes.pop("cuda", "13.0"),
        architectures=changes.pop("architectures", (TORCH_2_14,)),
        packages=packages or {"torch": "2.14.1", "numpy": "2.3.0"},
        **changes,
    )
    return fleet_advice(question)


def test_a_fleet_that_runs_needs_no_advice() -> None:
    assert ask("T4", "H100") == ()


def test_an_older_framework_brings_an_older_cuda() -> None:
    assert ask("V100", "RTX 5090") == (
        "`torch>=2.8,<2.11` (CUDA 12.8) runs on all of them",
        "`torch>=2.8,<2.11` of build +cu128 (CUDA 12.8) runs on all of them",
    )


def test_a_newer_framework_brings_kernels_for_newer_gpus() -> None:
    found = ask(
        "RTX 5090", driver=">=570", packages={"torch": "2.7.1"}, cuda="12.6", architectures=(TORCH_2_7,)
    )

    assert found[0] == "`torch>=2.8,<2.11` (CUDA 12.8) runs on all of them"


def test_the_build_at_hand_comes_first_and_the_version_at_hand_never() -> None:
    found = ask("P100", "A100", driver=">=535", packages={"torch": "2.9.1+cu128"}, cuda="12.8")

    assert found == (
        "`torch>=2.6,<2.13` of build +cu126 (CUDA 12.6) runs on all of them",
        "`torch>=2.7,<2.8` (CUDA 12.6) runs on all of them",
    )


def test_a_driver_that_would_do_is_named_as_well() -> None:
    found = ask("RTX 4090", driver=">=535")

    assert found[-1] == "driver 580.65.06 or newer on every machine is enough for CUDA 13.0"
    assert "`torch>=2.8,<2.11` (CUDA 12.8) runs on all of them" in found


def test_an_image_that_would_lift_the_driver_is_named_where_that_is_certain() -> None:
    lifting = 'image = "base" brings cuda-compat-13-0, which lifts driver 535'

    assert lifting in ask("T4", "A100", driver=">=535")
    assert lifting not in ask("T4", "RTX 4090", driver=">=535")
    assert lifting not in ask("sm_75", driver=">=535")
    assert lifting not in ask("T4", driver=">=545")


@pytest.mark.parametrize(
    ("package", "take"),
    [("jax-cuda13-plugin", "`jax[cuda12]` in place of `jax[cuda13]`"), ("cupy-cuda13x", "`cupy-cuda12x`")],
)
def test_packages_that_compile_at_run_time_have_one_for_an_older_cuda(package: str, take: str) -> None:
    (advice,) = ask("V100", "H100", packages={package: "1.0"}, architectures=())

    assert advice.startswith(take)
    assert advice.endswith("(CUDA 12.9) runs on all of them")


def test_what_no_single_change_serves_is_served_one_by_one() -> None:
    assert ask("P100", "RTX 5090") == (
        "`torch>=2.7,<2.8` (CUDA 12.6) runs on P100; give it a variant of its own",
    )


def test_one_package_cannot_change_the_cuda_of_another() -> None:
    both = {"torch": "2.14.1", "jax-cuda13-plugin": "0.10.2"}

    assert ask("V100", packages=both) == ()


def test_a_wheel_that_stays_keeps_its_say() -> None:
    attention = TORCH_2_14.model_copy(update={"wheel": "flash_attn-2.9-cp311.whl", "cubins": {"sm_80": 20}})

    assert ask("V100", architectures=(TORCH_2_14, attention)) == ()


def test_nothing_known_gives_no_advice() -> None:
    assert ask("V100", packages={"paddlepaddle-gpu": "3.2.0"}) == ()


def test_advice_holds_what_it_promises() -> None:
    question = FleetQuestion(
        targets=("V100", "B200"),
        driver=">=580",
        cuda="12.8",
        architectures=(
            GpuArchitectures(
                wheel="torch-2.10.0-cp311.whl",
                library="torch/lib/libtorch_cuda.so",
                role="framework",
                cubins={"sm_70": 456, "sm_75": 456, "sm_80": 456, "sm_100": 516},
            ),
        ),
        packages={"torch": "2.10.0"},
    )

    assert all(verdict.ok for verdict in question.verdicts(BUILT_IN))
