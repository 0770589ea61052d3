import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.catalog.capability import ComputeCapability
from envbuild.catalog.gpus import all_gpus, find_gpu
from envbuild.errors import SpecError
from envbuild.lock.gpu import GpuArchitectures
from envbuild.resolve.gpu.driver_check import judge_driver
from envbuild.resolve.gpu.fleet import fleet_verdicts
from envbuild.resolve.gpu.kernel_check import judge_kernels

ALL_BUT_OLD = {f"sm_{number}": 100 for number in (75, 80, 86, 90, 100, 120)}


def code(
    cubins: dict[str, int] | None = None,
    ptx: dict[str, int] | None = None,
    *,
    library: str = "torch/lib/libtorch_cuda.so",
    wheel: str = "torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl",
    role: str = "framework",
) -> GpuArchitectures:
    return GpuArchitectures.model_validate(
        {"wheel": wheel, "library": library, "role": role, "cubins": cubins or {}, "ptx": ptx or {}}
    )


def kernels(gpu: str, *codes: GpuArchitectures, cuda: str | None = "13.0", knows_ptx: bool | None = True):
    return judge_kernels(ComputeCapability.parse(gpu), cuda, codes, knows_ptx=knows_ptx)


def test_verdicts_are_in_the_order_of_the_targets_and_name_them_as_the_spec_does() -> None:
    verdicts = fleet_verdicts(("V100", "sm_90", "Tesla T4"), ">=580", "13.0", (code(ALL_BUT_OLD),))

    assert [(verdict.target, verdict.capability, verdict.ok) for verdict in verdicts] == [
        ("V100", "sm_70", False),
        ("sm_90", "sm_90", True),
        ("Tesla T4", "sm_75", True),
    ]
    assert {verdict.driver for verdict in verdicts} == {"580"}


def test_what_a_driver_reports_and_what_the_gpu_runs_are_two_questions() -> None:
    (verdict,) = fleet_verdicts(("V100",), "580", "13.0", (code(ALL_BUT_OLD),))

    assert (verdict.driver_state, verdict.kernels, verdict.ok) == ("toolkit", "none", False)
    assert verdict.reason == (
        "driver 580 reports CUDA 13.0, so it knows 13.0; "
        "CUDA 13 has no code for Volta GPUs (sm_70); CUDA 12 was the last"
    )


def test_a_gpu_nobody_knows_is_refused_with_near_names() -> None:
    with pytest.raises(SpecError) as caught:
        fleet_verdicts(("T4", "H1000"), "580", "13.0", ())
    assert caught.value.hint == "did you mean `NVIDIA H100`, `T1000` or `NVIDIA V100`?"


@pytest.mark.parametrize(
    ("gpu", "driver", "cuda", "compat", "state", "knows_ptx"),
    [
        pytest.param("T4", "580.65.06", "13.0", False, "toolkit", True, id="the toolkit's own"),
        pytest.param("T4", "580.65.05", "13.0", False, "too-old", False, id="one release too old"),
        pytest.param("T4", "580", "13.2", False, "minor-version", False, id="same major"),
        pytest.param("T4", "580", "13.2", True, "minor-version", True, id="same major, lifted for PTX"),
        pytest.param("RTX 4090", "580", "13.2", True, "minor-version", False, id="GeForce is not lifted"),
        pytest.param("T4", "700", "12.0", False, "toolkit", True, id="old programs on a new driver"),
        pytest.param("T4", "535", "13.0", True, "forward-compatibility", True, id="lifted"),
        pytest.param("sm_75", "535", "13.0", True, "forward-compatibility", True, id="lifted, kind unknown"),
        pytest.param("T4", "535", "13.0", False, "too-old", False, id="no cuda-compat in the image"),
        pytest.param("RTX 4090", "535", "13.0", True, "too-old", False, id="GeForce"),
        pytest.param("T4", "545", "13.0", True, "too-old", False, id="unsupported branch"),
        pytest.param("P100", "595", "12.8", False, "too-new", None, id="no longer driven"),
        pytest.param("T4", None, "13.0", False, "unknown", None, id="no driver named"),
        pytest.param("T4", "580", None, False, "unknown", None, id="no CUDA known"),
        pytest.param("T4", "580", "14.1", False, "unknown", None, id="major newer than the catalogue"),
        pytest.param("T4", "620", "13.6", False, "minor-version", False, id="minor newer, driver not"),
        pytest.param("T4", "700", "13.6", False, "minor-version", None, id="minor and driver newer"),
        pytest.param("T4", "418", "12.0", False, "too-old", False, id="older than the catalogue"),
        pytest.param("RTX 5090", "535", "12.6", False, "toolkit", True, id="GPU newer than the driver"),
    ],
)
def test_what_a_driver_is_good_for(  # noqa: PLR0917 - one argument a column
    gpu, driver, cuda, compat, state, knows_ptx
) -> None:
    answer = judge_driver(find_gpu(gpu), driver, cuda, compat=compat)

    assert (answer.state, answer.knows_ptx) == (state, knows_ptx)
    assert answer.ok is (state not in {"too-old", "too-new"})


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        ("T4", " (cuda-compat-13-0 would lift it, but the image has none)"),
        ("sm_75", " (cuda-compat-13-0 would lift it on a data-centre GPU, but the image has none)"),
        ("RTX 4090", " (cuda-compat-13-0 does not lift it on GeForce GPUs: error 804)"),
        ("RTX A6000", " (cuda-compat-13-0 does not lift it on workstation GPUs: error 804)"),
    ],
)
def test_why_forward_compatibility_does_not_help(gpu: str, reason: str) -> None:
    answer = judge_driver(find_gpu(gpu), "535", "13.0", compat=False)

    assert answer.reason == (f"driver 535 reports CUDA 12.2, and CUDA 13.0 needs 580.65.06 or newer{reason}")


def test_the_first_driver_of_a_newer_gpu_is_judged_in_place_of_the_fleets_oldest() -> None:
    answer = judge_driver(find_gpu("RTX 5090"), "535", "13.0", compat=False)

    assert answer.reason.startswith(
        "driver 570, the first for this GPU, reports CUDA 12.8, and CUDA 13.0 needs"
    )


@pytest.mark.parametrize(
    ("gpu", "codes", "knows_ptx", "state", "reason"),
    [
        pytest.param(
            "8.9",
            (code({"sm_80": 475, "sm_86": 475, "sm_89": 1}),),
            True,
            "cubin",
            "torch 2.14.1 has kernels of sm_86, which sm_89 runs",
            id="a smaller minor carries it",
        ),
        pytest.param(
            "8.9",
            (code({"sm_75": 475, "sm_89": 1}),),
            True,
            "none",
            "torch 2.14.1 has only 1 of 475 kernels for sm_89",
            id="one kernel of hundreds is no support",
        ),
        pytest.param(
            "9.0",
            (code({"sm_90a": 3, "sm_80": 475, "sm_90": 475}),),
            True,
            "cubin",
            "torch 2.14.1 has kernels of sm_90",
            id="some kernels are for this architecture alone",
        ),
        pytest.param(
            "10.3",
            (code({"sm_100a": 475, "sm_80": 475}),),
            True,
            "none",
            "torch 2.14.1 has kernels of sm_80, sm_100a, none of which sm_103 runs",
            id="architecture-specific code of a sibling",
        ),
        pytest.param(
            "12.0",
            (code({"sm_80": 475, "sm_90": 475}, {"compute_90": 475}),),
            True,
            "ptx",
            "torch 2.14.1 has only PTX for it, compute_90: the driver compiles it at first use",
            id="PTX for a newer GPU",
        ),
        pytest.param(
            "12.0",
            (code({"sm_90": 475}, {"compute_90": 475}),),
            False,
            "none",
            "torch 2.14.1 has only PTX for it, compute_90, and a driver older than that of CUDA 13.0 "
            "does not compile it (error 222)",
            id="PTX the driver does not know",
        ),
        pytest.param(
            "12.0",
            (code({"sm_90": 475}, {"compute_90": 475}),),
            None,
            "ptx",
            "torch 2.14.1 has only PTX for it, compute_90: whether the driver compiles it is not known",
            id="PTX a driver may know",
        ),
        pytest.param(
            "12.0",
            (code({"sm_90": 475}, {"compute_90": 2}),),
            True,
            "none",
            "torch 2.14.1 has kernels of sm_90, none of which sm_120 runs",
            id="a little PTX is no support either",
        ),
        pytest.param(
            "8.0",
            (code({"sm_90": 475}, {"compute_90": 475}),),
            True,
            "none",
            "torch 2.14.1 has kernels of sm_90, compute_90, none of which sm_80 runs",
            id="PTX for a newer GPU than this",
        ),
        pytest.param(
            "7.5",
            (code(ALL_BUT_OLD), code({"sm_80": 65}, library="torch/lib/libtorch_cuda_linalg.so")),
            True,
            "cubin",
            "torch 2.14.1 has kernels of sm_75, but libtorch_cuda_linalg.so in it has nothing for this GPU",
            id="another library of the wheel has nothing",
        ),
        pytest.param(
            "7.5",
            (code(ALL_BUT_OLD), code({"sm_80": 20}, wheel="flash_attn-2.9-cp311-cp311-linux_x86_64.whl")),
            True,
            "none",
            "flash-attn 2.9 has kernels of sm_80, none of which sm_75 runs",
            id="the weakest wheel decides",
        ),
        pytest.param(
            "7.5",
            (
                code(ALL_BUT_OLD),
                code({"sm_80": 20}, wheel="nvidia_nccl_cu13-2.30-py3-none.whl", role="support"),
            ),
            True,
            "cubin",
            "torch 2.14.1 has kernels of sm_75",
            id="support libraries do not decide",
        ),
        pytest.param(
            "7.5",
            (code(),),
            True,
            "unknown",
            "no device code was read, so kernels for sm_75 are not known",
            id="nothing was read",
        ),
        pytest.param(
            "8.7",
            (code({"sm_80": 100, "sm_86": 100}),),
            True,
            "none",
            "torch 2.14.1 has kernels of sm_80, sm_86, none of which sm_87 runs "
            "(to systems on chip only their own code is promised to run)",
            id="Tegra",
        ),
    ],
)
def test_kernels(gpu, codes, knows_ptx, state, reason) -> None:
    answer = kernels(gpu, *codes, knows_ptx=knows_ptx)

    assert (answer.state, answer.reason) == (state, reason)
    assert answer.ok is (state != "none")


@pytest.mark.parametrize(
    ("gpu", "cuda", "reason"),
    [
        ("7.0", "13.0", "CUDA 13 has no code for Volta GPUs (sm_70); CUDA 12 was the last"),
        ("6.1", "13.2", "CUDA 13 has no code for Pascal GPUs (sm_61); CUDA 12 was the last"),
        ("3.7", "12.0", "CUDA 12 has no code for Kepler GPUs (sm_37); CUDA 11 was the last"),
        ("7.0", "14.0", "CUDA 14 has no code for Volta GPUs (sm_70); CUDA 12 was the last"),
    ],
)
def test_impossible_pairs_are_impossible_whatever_the_wheel_says(gpu: str, cuda: str, reason: str) -> None:
    capability = ComputeCapability.parse(gpu)
    says_so = code({capability.sm: 100}, {capability.compute: 100})

    assert (kernels(gpu, says_so, cuda=cuda).state, kernels(gpu, says_so, cuda=cuda).reason) == (
        "none",
        reason,
    )
    assert kernels(gpu, cuda=cuda).state == "none"


def test_a_cuda_older_than_the_gpu_is_said() -> None:
    older = kernels("12.0", code({"sm_90": 100}), cuda="12.6")

    assert older.reason == (
        "torch 2.14.1 has kernels of sm_90, none of which sm_120 runs "
        "(CUDA 12.8 is the first that makes code for it)"
    )


GPUS = st.sampled_from([gpu.name for gpu in all_gpus()])
CUDAS = st.sampled_from(["11.8", "12.0", "12.6", "12.9", "13.0", "13.2", "13.5", "13.6", "14.0"])
DRIVERS = st.tuples(st.integers(440, 640), st.integers(0, 250), st.integers(0, 20)).map(
    lambda parts: f"{parts[0]}.{parts[1]:02}.{parts[2]:02}"
)
COUNTS = st.dictionaries(st.sampled_from(sorted(ALL_BUT_OLD)), st.integers(1, 500))


@pytest.mark.property
@given(gpu=GPUS, cuda=CUDAS, driver=DRIVERS, cubins=COUNTS, compat=st.booleans())
def test_a_verdict_is_ok_exactly_if_both_answers_are(gpu, cuda, driver, cubins, compat) -> None:
    (verdict,) = fleet_verdicts((gpu,), driver, cuda, (code(cubins),), compat=compat)

    assert verdict.ok is (verdict.driver_state not in {"too-old", "too-new"} and verdict.kernels != "none")
    assert len(verdict.reason) > 20


@pytest.mark.property
@given(gpu=GPUS, cuda=CUDAS, drivers=st.tuples(DRIVERS, DRIVERS))
def test_a_newer_driver_is_never_too_old_where_an_older_one_is_not(gpu, cuda, drivers) -> None:
    older, newer = sorted(drivers, key=lambda driver: tuple(map(int, driver.split("."))))
    answers = [judge_driver(find_gpu(gpu), driver, cuda, compat=False) for driver in (older, newer)]

    assert not (answers[0].ok and answers[1].state == "too-old")


@pytest.mark.property
@given(gpu=GPUS, cubins=COUNTS, more=st.integers(1, 500))
def test_kernels_of_the_gpus_own_architecture_in_full_number_always_do(gpu, cubins, more) -> None:
    capability = find_gpu(gpu).compute_capability
    full = {**cubins, capability.sm: max((*cubins.values(), more))}

    assert kernels(capability.dotted, code(full), cuda=None).state == "cubin"
