"""What is said of a machine's GPUs and libraries in front of a lock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from envbuild.verify.checks import Facts, LockedTarget, Report, evaluate, plan_checks, read_facts, read_target
from envbuild.verify.checks.codec import encode
from envbuild.verify.checks.gpu_facts import (
    DriverFacts,
    GpuDevice,
    GpuFacts,
    ImportFacts,
    KernelFacts,
    LibraryFacts,
    Vendor,
)
from envbuild.verify.checks.plan import plan_host_checks
from tests.rig.locks import TARGET_DIGEST

CUDART = "/opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib/libcudart.so.13"
TORCH = "torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl"
CUBINS = {"sm_75": 475, "sm_80": 475, "sm_86": 475, "sm_89": 1, "sm_90": 475, "sm_100": 475, "sm_120": 475}
TOO_OLD = "the driver is too old for this PTX (error 222, cudaErrorUnsupportedPtxVersion)"
NOT_HERE = "forward compatibility does not work on this GPU (error 804, cudaErrorCompatNotSupportedOnDevice)"
ABSENT = DriverFacts(state="absent", reason="there is no libnvidia-ml.so.1")
NO_AMD = DriverFacts(state="absent", reason="the kernel has no amdgpu driver")


@pytest.fixture
def locked(projection: dict[str, Any]) -> dict[str, Any]:
    """Return the projection of a target with torch 2.14.1, cudart 13.0 and kernels known."""
    projection["wheels"].append(
        {"name": "torch", "version": "2.14.1", "file": TORCH, "size": 10, "sha256": "e" * 64}
    )
    projection["gpu"] = {
        "vendor": "nvidia",
        "runtime": "13.0",
        "toolkit": "13.0.3",
        "majors": [13],
        "driver-minimum": "580.65.06",
        "driver-toolkit": "580.95.05",
        "image": "slim",
        "evidence": [],
        "libraries": [
            {
                "name": "cudart",
                "soname": "libcudart.so.13",
                "version": "13.0.96",
                "provider": "wheel nvidia-cuda-runtime",
                "path": CUDART.removeprefix("/opt/venv/"),
            }
        ],
        "architectures": [
            {
                "wheel": TORCH,
                "library": "torch/lib/libtorch_cuda.so",
                "role": "framework",
                "cubins": CUBINS,
                "ptx": {},
            }
        ],
        "fleet": [],
    }
    return projection


@pytest.fixture
def target(locked: dict[str, Any]) -> LockedTarget:
    return read_target(locked, TARGET_DIGEST)


def driver(version: str, cuda: str, **fields: Any) -> DriverFacts:
    values: dict[str, Any] = {"library_version": version, "library_cuda": cuda, "library_status": 0} | fields
    return DriverFacts(state="ready", version=version, cuda=cuda, **values)


def device(name: str, architecture: str | None, **fields: Any) -> GpuDevice:
    values: dict[str, Any] = {"vendor": "nvidia", "index": 0, "memory": 16 << 30} | fields
    return GpuDevice(name=name, architecture=architecture, **values)


def machine(
    nvidia: DriverFacts = ABSENT, *devices: GpuDevice, amd: DriverFacts = NO_AMD, **fields: Any
) -> GpuFacts:
    values: dict[str, Any] = {"libraries": (found(),)} | fields
    return GpuFacts(drivers={"nvidia": nvidia, "amd": amd}, devices=devices, **values)


def found(path: str | None = CUDART, version: str | None = "13.0", **fields: Any) -> LibraryFacts:
    return LibraryFacts(soname="libcudart.so.13", path=path, version=version, **fields)


Judge = Callable[..., list[tuple[str, str, str, str | None]]]


@pytest.fixture
def judge(facts: Facts) -> Judge:
    """Return a function that gives the results about GPUs: outcome, id, difference, reason."""

    def compare(
        target: LockedTarget, gpu: GpuFacts | None, *, imports: bool = False, require: bool = False
    ) -> list[tuple[str, str, str, str | None]]:
        checks = [check for check in plan_checks(target, imports=imports) if check.group == "gpu"]
        # as it comes through JSON
        through = read_facts(encode(replace(facts, gpu=gpu)))
        report = evaluate(target, checks, through, require_gpu=require)
        return [(item.outcome, item.id, item.difference, item.reason) for item in report.results]

    return compare


T4_525 = machine(driver("525.147.05", "12.0"), device("Tesla T4", "sm_75"))
T4_580 = machine(driver("580.95.05", "13.0"), device("Tesla T4", "sm_75"))
V100_580 = machine(driver("580.95.05", "13.0"), device("Tesla V100", "sm_70"))
RTX5090_580 = machine(driver("580.65.06", "13.0"), device("RTX 5090", "sm_120"))


def test_a_machine_that_fits_passes(judge: Judge, target: LockedTarget) -> None:
    assert judge(target, T4_580) == [
        ("passed", "gpu/library/libcudart.so.13", "libcudart.so.13 13.0.96 → 13.0", CUDART),
        ("passed", "gpu/driver", "NVIDIA driver >=580.65.06 → 580.95.05", None),
        ("passed", "gpu/device/0", "GPU 0 → Tesla T4, sm_75, 16 GiB", None),
    ]


def test_a_driver_that_is_too_old(judge: Judge, target: LockedTarget) -> None:
    _, driver_result, device_result = judge(target, T4_525)
    assert driver_result == (
        "failed",
        "gpu/driver",
        "NVIDIA driver >=580.65.06 → 525.147.05",
        "too old for CUDA 13.0, it runs CUDA 12.0 at most",
    )
    assert device_result[0] == "passed"  # another question, another answer


def test_a_driver_that_is_too_old_for_a_major_of_which_no_minor_is_known(
    judge: Judge, locked: dict[str, Any]
) -> None:
    locked["gpu"] |= {"runtime": None, "toolkit": None}
    result = judge(read_target(locked, TARGET_DIGEST), T4_525)[1]
    assert result[3] == "too old for CUDA 13, it runs CUDA 12.0 at most"


def test_a_driver_that_reports_cuda_13_does_not_make_a_v100_run_it(
    judge: Judge, target: LockedTarget
) -> None:
    _, driver_result, device_result = judge(target, V100_580)
    assert driver_result[0] == "passed"
    assert device_result[:3] == (
        "failed",
        "gpu/device/0",
        "GPU 0 code for sm_70 → Tesla V100, sm_70, 16 GiB",
    )
    assert device_result[3] is not None
    assert device_result[3].startswith(
        "torch-2.14.1 has no code for it, only for sm_75, sm_80, sm_86, sm_90, sm_100, sm_120"
    )


def test_minor_version_compatibility_is_enough_and_said(judge: Judge, target: LockedTarget) -> None:
    _, driver_result, device_result = judge(target, RTX5090_580)
    assert driver_result[0] == "passed"
    assert driver_result[3] is not None
    assert driver_result[3].startswith(
        "minor-version compatibility: driver 580.95.05 is the first that knows CUDA 13.0 itself"
    )
    assert device_result[0] == "passed"


def with_code(locked: dict[str, Any], cubins: dict[str, int], ptx: dict[str, int]) -> LockedTarget:
    locked["gpu"]["architectures"][0] |= {"cubins": cubins, "ptx": ptx}
    return read_target(locked, TARGET_DIGEST)


@pytest.mark.parametrize(
    ("cubins", "ptx", "architecture", "outcome"),
    [
        pytest.param({"sm_80": 400}, {}, "sm_86", "passed", id="a higher minor runs it"),
        pytest.param({"sm_86": 400}, {}, "sm_80", "failed", id="a lower minor does not"),
        pytest.param({"sm_80": 400, "sm_89": 1}, {}, "sm_89", "passed", id="through its major's base"),
        pytest.param({"sm_75": 400, "sm_90": 1}, {}, "sm_90", "failed", id="one kernel of many is none"),
        pytest.param({"sm_90a": 400}, {}, "sm_90", "passed", id="code for exactly this one"),
        pytest.param({"sm_100a": 400}, {}, "sm_103", "failed", id="code for exactly another one"),
        pytest.param({}, {"compute_80": 400}, "sm_90", "passed", id="PTX of something older"),
        pytest.param({}, {"compute_90": 400}, "sm_80", "failed", id="PTX of something newer"),
    ],
)
def test_which_code_a_gpu_runs(
    judge: Judge,
    locked: dict[str, Any],
    *,
    cubins: dict[str, int],
    ptx: dict[str, int],
    architecture: str,
    outcome: str,
) -> None:
    gpu = machine(driver("580.95.05", "13.0"), device("a GPU", architecture))
    assert judge(with_code(locked, cubins, ptx), gpu)[-1][0] == outcome


def test_ptx_needs_the_toolkits_own_driver(judge: Judge, locked: dict[str, Any]) -> None:
    target = with_code(locked, {}, {"compute_75": 400})
    assert judge(target, RTX5090_580)[-1] == (
        "failed",
        "gpu/device/0",
        "GPU 0 code for sm_120 → RTX 5090, sm_120, 16 GiB",
        f"torch-2.14.1 has only PTX for it, which needs driver 580.95.05: {TOO_OLD}",
    )


def test_without_known_code_cudas_own_limit_counts(judge: Judge, locked: dict[str, Any]) -> None:
    locked["gpu"]["architectures"] = []
    target = read_target(locked, TARGET_DIGEST)
    assert judge(target, V100_580)[-1] == (
        "failed",
        "gpu/device/0",
        "GPU 0 sm_75 or newer → Tesla V100, sm_70, 16 GiB",
        "CUDA 13.0 has no code for it",
    )
    outcome, _, _, reason = judge(target, T4_580)[-1]
    assert outcome == "skipped"
    assert reason is not None
    assert reason.startswith("Tesla T4, sm_75, 16 GiB: the lock does not say")


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        pytest.param(machine(), "there is no libnvidia-ml.so.1", id="nothing"),
        pytest.param(
            machine(cards={"nvidia": 2}),
            "there is no libnvidia-ml.so.1; the machine has 2 of NVIDIA, this process was given none",
            id="not given",
        ),
        pytest.param(
            machine(amd=DriverFacts(state="ready"), cards={"amd": 1}),
            "there is no libnvidia-ml.so.1; there is one of AMD, the lock is for NVIDIA",
            id="another vendor's",
        ),
        pytest.param(
            machine(DriverFacts(state="not-loaded", reason="the kernel has no driver")),
            "the kernel has no driver",
            id="half",
        ),
    ],
)
def test_no_gpu_is_skipped_with_the_reason_and_fails_when_required(
    judge: Judge, target: LockedTarget, gpu: GpuFacts, reason: str
) -> None:
    library, *others = judge(target, gpu)
    assert library[0] == "passed"  # needs no GPU
    assert [(outcome, why) for outcome, _, _, why in others] == [("skipped", f"no GPU: {reason}")] * 2
    _, *others = judge(target, gpu, require=True)
    assert [(outcome, why) for outcome, _, _, why in others] == [("failed", reason)] * 2


@pytest.mark.parametrize("state", ["mismatch", "failed"])
def test_a_broken_driver_fails_whether_required_or_not(
    judge: Judge, target: LockedTarget, state: Any
) -> None:
    gpu = machine(DriverFacts(state=state, reason="the reason"))
    result = judge(target, gpu)[1]
    assert result == ("failed", "gpu/driver", "NVIDIA driver >=580.65.06 → does not work", "the reason")


def test_a_driver_without_a_gpu(judge: Judge, target: LockedTarget) -> None:
    _, driver_result, device_result = judge(target, machine(driver("580.95.05", "13.0", library_status=100)))
    assert driver_result[0] == "passed"
    assert (device_result[0], device_result[3]) == ("skipped", "no GPU: the driver shows none")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param(
            {"library_status": 999},
            "unknown error; the kernel's module nvidia-uvm may not be loaded (error 999, cudaErrorUnknown)",
            id="without nvidia-uvm",
        ),
        pytest.param(
            {"library_status": 3},
            "initialization error (error 3, cudaErrorInitializationError)",
            id="not initialised",
        ),
        pytest.param(
            {"library_status": 100},
            "the driver shows no GPU (error 100, cudaErrorNoDevice), but it has 1: CUDA_VISIBLE_DEVICES may "
            "hide them, or they are cut into instances (MIG) and none was given",
            id="hidden from CUDA",
        ),
        pytest.param(
            {
                "library_version": None,
                "library_status": None,
                "library_problem": "libcuda.so.1: cannot open shared object file: No such file or directory",
            },
            "no CUDA program works: libcuda.so.1: cannot open shared object file: No such file or directory",
            id="utility alone",
        ),
        pytest.param(
            {"library_version": None, "library_status": None, "library_problem": "crashed (SIGSEGV)"},
            "no CUDA program works: libcuda.so.1: crashed (SIGSEGV)",
            id="crashes",
        ),
    ],
)
def test_a_driver_on_which_no_cuda_program_works(
    judge: Judge, locked: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    gpu = machine(driver("580.95.05", "13.0", **fields), device("Tesla T4", "sm_75"))
    expected = ("failed", "gpu/driver", "NVIDIA driver >=580.65.06 → 580.95.05", reason)
    assert judge(read_target(locked, TARGET_DIGEST), gpu)[1] == expected
    locked["gpu"]["driver-minimum"] = None
    assert judge(read_target(locked, TARGET_DIGEST), gpu)[1][::3] == ("failed", reason)


def test_a_gpu_that_does_not_answer(judge: Judge, target: LockedTarget) -> None:
    gpu = machine(driver("580.95.05", "13.0"), device("", None, problem="GPU is lost"))
    assert judge(target, gpu)[-1] == (
        "failed",
        "gpu/device/0",
        "GPU 0 → GPU is lost",
        "the driver lists it, but it does not answer",
    )


def compat(kernel: str, library: str, status: int | None = 0) -> GpuFacts:
    return machine(
        driver(
            kernel, "13.0", library="/usr/local/cuda/compat/x", library_version=library, library_status=status
        )
    )


@pytest.mark.parametrize(
    ("gpu", "outcome", "found", "reason"),
    [
        pytest.param(
            compat("535.104.05", "580.95.05"),
            "passed",
            "535.104.05 with libcuda of 580.95.05",
            "forward compatibility: /usr/local/cuda/compat/x stands in for the driver's own",
            id="works",
        ),
        pytest.param(
            compat("535.104.05", "580.95.05", 804),
            "failed",
            "535.104.05 with libcuda of 580.95.05",
            NOT_HERE,
            id="not on this GPU",
        ),
        pytest.param(
            compat("535.104.05", "550.54.14"),
            "failed",
            "535.104.05 with libcuda of 550.54.14",
            "too old for CUDA 13.0, it runs CUDA 13.0 at most",
            id="still too old",
        ),
        pytest.param(
            compat("590.44.01", "580.95.05"),
            "failed",
            "590.44.01 with libcuda of 580.95.05",
            "forward compatibility is for drivers older than it, never for newer ones",
            id="on a newer driver",
        ),
        pytest.param(
            compat("580.95.05", "580.95.05", 34),
            "failed",
            "580.95.05",
            "libcuda.so.1 is the toolkit's stub, not a driver's (error 34, cudaErrorStubLibrary)",
            id="stub",
        ),
    ],
)
def test_forward_compatibility(
    judge: Judge, target: LockedTarget, *, gpu: GpuFacts, outcome: str, found: str, reason: str
) -> None:
    result = judge(target, gpu)[1]
    assert result == (outcome, "gpu/driver", f"NVIDIA driver >=580.65.06 → {found}", reason)


@pytest.mark.parametrize(
    ("library", "outcome", "difference", "reason"),
    [
        pytest.param(
            found("/usr/local/cuda/lib64/libcudart.so.13", "13.1", found_by="environment"),
            "failed",
            "libcudart.so.13 13.0.96 → 13.1 from /usr/local/cuda/lib64/libcudart.so.13",
            "LD_LIBRARY_PATH puts it before the locked file",
            id="shadowed",
        ),
        pytest.param(
            found("/usr/lib/libcudart.so.13", "13.0", found_by="loader", wanted_by="/x/libc10_cuda.so"),
            "failed",
            "libcudart.so.13 13.0.96 → 13.0 from /usr/lib/libcudart.so.13",
            "found by loader for /x/libc10_cuda.so",
            id="same version, other file",
        ),
        pytest.param(
            found(version="13.1"),
            "failed",
            f"libcudart.so.13 13.0.96 → 13.1 from {CUDART}",
            None,
            id="other version, same file",
        ),
        pytest.param(
            found(version=None, problem="file too short"),
            "failed",
            f"libcudart.so.13 13.0.96 → {CUDART}",
            "file too short",
            id="broken",
        ),
        pytest.param(
            found(None, None, problem="cannot open"),
            "failed",
            "libcudart.so.13 13.0.96 → missing",
            "cannot open",
            id="nowhere",
        ),
        pytest.param(
            found(shadowed_by="/usr/local/cuda/lib64/libcudart.so.13"),
            "warned",
            "libcudart.so.13 13.0.96 → /usr/local/cuda/lib64/libcudart.so.13",
            "LD_LIBRARY_PATH gives that file to whoever asks by name; the framework finds its own",
            id="shadowed for others only",
        ),
    ],
)
def test_the_library_an_import_would_load(
    judge: Judge,
    target: LockedTarget,
    *,
    library: LibraryFacts,
    outcome: str,
    difference: str,
    reason: str | None,
) -> None:
    result = judge(target, machine(libraries=(library,)))[0]
    assert result == (outcome, "gpu/library/libcudart.so.13", difference, reason)


def of_conda(locked: dict[str, Any]) -> LockedTarget:
    """Return a target whose cudart is a conda package's: its path is a link."""
    locked["gpu"]["libraries"][0] |= {"provider": "conda cuda-cudart", "path": "lib/libcudart.so.13"}
    return read_target(locked, TARGET_DIGEST)


def test_a_locked_path_may_be_a_link(judge: Judge, locked: dict[str, Any]) -> None:
    file = "/opt/venv/lib/libcudart.so.13.0.96"
    target = of_conda(locked)
    assert judge(target, machine(libraries=(found(file, leads_to=file),)))[0] == (
        "passed",
        "gpu/library/libcudart.so.13",
        "libcudart.so.13 13.0.96 → 13.0",
        file,
    )
    assert target.gpu_libraries == {"libcudart.so.13": "/opt/venv/lib/libcudart.so.13"}


def test_a_link_out_of_the_environment_is_another_file(judge: Judge, locked: dict[str, Any]) -> None:
    file = "/usr/local/cuda/lib64/libcudart.so.13.0.96"
    outcome, *_ = judge(of_conda(locked), machine(libraries=(found(file, leads_to=file),)))[0]
    assert outcome == "failed"


def test_a_library_of_the_base_may_lie_anywhere(judge: Judge, locked: dict[str, Any]) -> None:
    locked["gpu"]["libraries"][0] |= {"provider": "base", "path": None}
    library = found("/usr/local/cuda-13.0/lib64/libcudart.so.13.0.96", "13.0")
    assert judge(read_target(locked, TARGET_DIGEST), machine(libraries=(library,)))[0][0] == "passed"


def test_nothing_is_claimed_where_nobody_looked(judge: Judge, target: LockedTarget) -> None:
    assert {outcome for outcome, *_ in judge(target, None, imports=True)} == {"skipped"}


def test_an_environment_for_cpus_has_no_such_checks(projection: dict[str, Any]) -> None:
    assert [
        check
        for check in plan_checks(read_target(projection, TARGET_DIGEST), imports=True)
        if check.group == "gpu"
    ] == []


# --- frameworks, imported ------------------------------------------------------------------------


def imported(*mapped: str, **fields: Any) -> GpuFacts:
    item = ImportFacts(framework="torch", version="2.14.1", mapped=mapped, **fields)
    return replace(T4_580, imports=(item,))


GOOD = KernelFacts(index=0, succeeded=True, detail="Tesla T4: 1048576.0")


def test_locked_files_in_the_process_and_a_right_result(judge: Judge, target: LockedTarget) -> None:
    other = "/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9"
    results = judge(target, imported(CUDART, other, kernels=(GOOD,)), imports=True)[-2:]
    assert results == [
        (
            "passed",
            "gpu/import/torch",
            "libraries that torch loads locked files → 2 libraries",
            f"{CUDART}, {other}",
        ),
        ("passed", "gpu/kernel/torch/0", "torch on GPU 0 → Tesla T4: 1048576.0", None),
    ]


def test_frameworks_of_conda_packages_are_imported_too(locked: dict[str, Any]) -> None:
    package = {"version": "2.6.0", "build": "cuda126_py311_0", "file": "pytorch.conda", "sha256": "f" * 64}
    locked["wheels"] = [wheel for wheel in locked["wheels"] if wheel["name"] != "torch"]
    locked["conda"] = {"packages": [{"name": "pytorch", "distributions": ["torch==2.6.0"], **package}]}
    target = read_target(locked, TARGET_DIGEST)
    assert target.frameworks == ("torch",)
    planned = {check.id for check in plan_checks(target, imports=True)}
    assert {"gpu/import/torch", "gpu/kernel/torch"} <= planned


def test_a_file_from_elsewhere_in_the_process(judge: Judge, target: LockedTarget) -> None:
    strange = "/usr/local/cuda/lib64/libcudart.so.13"
    unknown = "/usr/local/cuda/lib64/libcublas.so.12"
    results = judge(target, imported(strange, unknown, kernels=(GOOD,)), imports=True)
    reason = "loaded by the import in place of what is locked"
    assert results[-3:-1] == [
        (
            "failed",
            "gpu/import/torch/libcudart.so.13",
            f"libcudart.so.13 in torch {CUDART} → {strange}",
            reason,
        ),
        (
            "failed",
            "gpu/import/torch/libcublas.so.12",
            f"libcublas.so.12 in torch a locked file → {unknown}",
            reason,
        ),
    ]


BASE_LIBRARIES = "/usr/local/cuda-13.0/targets/x86_64-linux/lib"


def test_libraries_of_the_base_show_under_their_full_names(judge: Judge, locked: dict[str, Any]) -> None:
    locked["gpu"]["libraries"][0] |= {"provider": "base", "path": None}
    locked["gpu"]["image"] = "runtime"
    # cuBLAS is the base's too; no variable of an image says its version, so the lock has no row for it
    mapped = (f"{BASE_LIBRARIES}/libcublas.so.13.0.2.14", f"{BASE_LIBRARIES}/libcudart.so.13.0.96")
    result = judge(read_target(locked, TARGET_DIGEST), imported(*mapped, kernels=(GOOD,)), imports=True)[-2]
    assert result[:2] == ("passed", "gpu/import/torch")


def test_a_base_does_not_stand_in_for_what_a_wheel_brings(judge: Judge, locked: dict[str, Any]) -> None:
    locked["gpu"]["image"] = "runtime"
    strange = f"{BASE_LIBRARIES}/libcudart.so.13.0.96"
    results = judge(read_target(locked, TARGET_DIGEST), imported(strange, kernels=(GOOD,)), imports=True)
    assert results[-2][:3] == (
        "failed",
        "gpu/import/torch/libcudart.so.13.0.96",
        f"libcudart.so.13.0.96 in torch {CUDART} → {strange}",
    )


def test_a_link_of_a_conda_package_shows_as_its_file(judge: Judge, locked: dict[str, Any]) -> None:
    file = "/opt/venv/lib/libcudart.so.13.0.96"
    gpu = replace(imported(file, kernels=(GOOD,)), libraries=(found(file, leads_to=file),))
    assert judge(of_conda(locked), gpu, imports=True)[-2][:2] == ("passed", "gpu/import/torch")


def test_a_framework_that_cannot_be_imported(judge: Judge, target: LockedTarget) -> None:
    failed = ImportFacts(framework="torch", problem="ImportError: libcudnn.so.9")
    results = judge(target, replace(T4_580, imports=(failed,)), imports=True)[-2:]
    assert results == [
        (
            "failed",
            "gpu/import/torch",
            "libraries that torch loads locked files → cannot be imported",
            "ImportError: libcudnn.so.9",
        ),
        ("skipped", "gpu/kernel/torch", "torch on each GPU", "torch was not imported"),
    ]


@pytest.mark.parametrize(
    ("fields", "difference", "reason"),
    [
        (
            {"kernels": (replace(GOOD, succeeded=False, detail="no kernel image is available"),)},
            "torch on GPU 0 the right result → no kernel image is available",
            None,
        ),
        ({"no_kernels": "CUDA error 35"}, "torch on each GPU → nothing computed", "CUDA error 35"),
        ({}, "torch on each GPU → nothing computed", "torch sees no GPU"),
    ],
)
def test_a_gpu_that_computes_nothing_right(
    judge: Judge, target: LockedTarget, fields: dict[str, Any], difference: str, reason: str | None
) -> None:
    result = judge(target, imported(CUDART, **fields), imports=True)[-1]
    assert (result[0], result[2], result[3]) == ("failed", difference, reason)


def test_fewer_gpus_than_the_driver_has_is_said(judge: Judge, target: LockedTarget) -> None:
    gpu = imported(CUDART, kernels=(GOOD,))
    gpu = replace(gpu, devices=(*gpu.devices, device("Tesla T4", "sm_75", index=1)))
    assert judge(target, gpu, imports=True)[-1][:3] == (
        "warned",
        "gpu/kernel/torch",
        "torch on each GPU → 1 of 2 GPUs",
    )


def test_without_a_gpu_the_libraries_of_an_import_are_still_compared(
    judge: Judge, target: LockedTarget
) -> None:
    item = ImportFacts(framework="torch", mapped=(CUDART,), no_kernels="no driver")
    results = judge(target, machine(imports=(item,)), imports=True)[-2:]
    assert [(outcome, reason) for outcome, _, _, reason in results] == [
        ("passed", CUDART),
        ("skipped", "no GPU: there is no libnvidia-ml.so.1"),
    ]


# --- AMD -----------------------------------------------------------------------------------------


@pytest.fixture
def amd(locked: dict[str, Any]) -> LockedTarget:
    locked["gpu"] |= {"vendor": "amd", "runtime": "6.4", "architectures": [], "libraries": []}
    locked["gpu"] |= {"driver-minimum": None, "driver-toolkit": None}
    return read_target(locked, TARGET_DIGEST)


def test_amds_driver_and_gpus(judge: Judge, amd: LockedTarget) -> None:
    mi250 = device("aldebaran", "gfx90a", vendor="amd", memory=64 << 30)
    gpu = machine(ABSENT, mi250, amd=DriverFacts(state="ready"))
    assert [result[:3] for result in judge(amd, gpu)] == [
        ("passed", "gpu/driver", "AMD driver → loaded"),
        ("skipped", "gpu/device/0", "GPU 0"),
    ]


def test_a_lock_for_amd_on_a_machine_of_nvidia(judge: Judge, amd: LockedTarget) -> None:
    reason = "no GPU: the kernel has no amdgpu driver; there is one of NVIDIA, the lock is for AMD"
    assert [(result[0], result[3]) for result in judge(amd, T4_580)] == [("skipped", reason)] * 2


# --- a machine without a container ---------------------------------------------------------------


def host(target: LockedTarget, facts: Facts, gpu: GpuFacts, *, require: bool = False) -> Report:
    return evaluate(target, plan_host_checks(target), replace(facts, gpu=gpu), require_gpu=require)


def test_a_machine_answers_for_processor_driver_and_gpus(target: LockedTarget, facts: Facts) -> None:
    report = host(target, facts, T4_580)
    assert [(result.id, result.outcome) for result in report.results] == [
        ("architecture", "passed"),
        ("gpu/vendor", "passed"),
        ("gpu/driver", "passed"),
        ("gpu/device/0", "passed"),
    ]


@pytest.mark.parametrize(
    ("gpu", "outcome", "found"),
    [
        (
            machine(ABSENT, device("x", "gfx90a", vendor="amd"), amd=DriverFacts(state="ready")),
            "failed",
            "AMD",
        ),
        # the processor's own, for the screen
        (machine(cards={"amd": 1}), "skipped", None),
        (machine(cards={"amd": 1, "nvidia": 1}), "passed", "NVIDIA"),
        (machine(), "skipped", None),
    ],
)
def test_a_machine_of_another_vendor(
    target: LockedTarget, facts: Facts, gpu: GpuFacts, outcome: str, found: str | None
) -> None:
    result = next(item for item in host(target, facts, gpu).results if item.id == "gpu/vendor")
    assert (result.outcome, result.found) == (outcome, found)


def test_a_card_of_another_vendor_is_named_where_a_gpu_is_required(
    target: LockedTarget, facts: Facts
) -> None:
    gpu = machine(cards={"amd": 1})
    results = host(target, facts, gpu, require=True).results
    result = next(item for item in results if item.id == "gpu/vendor")
    assert (result.outcome, result.found) == ("failed", "AMD")


def test_a_machine_for_an_environment_of_cpus(projection: dict[str, Any], facts: Facts) -> None:
    report = host(read_target(projection, TARGET_DIGEST), facts, machine())
    assert [result.id for result in report.results] == ["architecture"]


@pytest.mark.parametrize("vendor", ["nvidia", "amd"])
def test_every_vendor_has_a_name(vendor: Vendor, locked: dict[str, Any]) -> None:
    locked["gpu"]["vendor"] = vendor
    titles = [
        check.title for check in plan_checks(read_target(locked, TARGET_DIGEST)) if check.id == "gpu/driver"
    ]
    assert titles == [f"{vendor.upper()} driver"]
