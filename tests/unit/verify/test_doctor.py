from dataclasses import replace

import pytest

from envbuild.errors import EngineError, ExitCode, NetworkError
from envbuild.verify.checks.gpu_facts import DriverFacts, GpuDevice, GpuFacts, Vendor
from envbuild.verify.doctor import Finding, document, exit_code_of, failed, gpu_findings

ABSENT = DriverFacts(state="absent", reason="there is none")
READY = DriverFacts(state="ready", version="580.95.05", cuda="13.0", library_version="580.95.05")
T4 = GpuDevice(vendor="nvidia", index=0, name="Tesla T4", architecture="sm_75", memory=15 << 30)
GIVEN: dict[Vendor, str | None] = {"nvidia": None, "amd": None}


def machine(nvidia: DriverFacts = ABSENT, *devices: GpuDevice, amd: DriverFacts = ABSENT) -> GpuFacts:
    return GpuFacts(drivers={"nvidia": nvidia, "amd": amd}, devices=devices)


def told(facts: GpuFacts, withheld: dict[Vendor, str | None] | None = None) -> list[tuple[str, str, str]]:
    return [(item.state, item.name, item.found) for item in gpu_findings(facts, withheld=withheld or GIVEN)]


def test_a_machine_with_a_gpu_that_containers_get() -> None:
    assert told(machine(READY, T4)) == [
        ("ok", "NVIDIA driver", "580.95.05"),
        ("ok", "highest CUDA", "13.0"),
        ("ok", "GPU 0", "Tesla T4, sm_75, 15 GiB"),
        ("ok", "GPUs in containers", "the engine gives NVIDIA's"),
    ]


def test_a_gpu_that_containers_do_not_get_is_missing_there() -> None:
    findings = list(gpu_findings(machine(READY, T4), withheld={"nvidia": "no runtime", "amd": None}))
    assert (findings[-1].state, findings[-1].found) == ("missing", "no runtime")
    assert findings[-1].hint is not None
    assert exit_code_of(findings) == ExitCode.OK


def test_a_machine_without_gpus_is_nothing_bad() -> None:
    assert told(machine()) == [("none", "GPUs", "none in this machine")]


def test_a_card_without_a_driver_is_broken() -> None:
    facts = replace(machine(), cards={"nvidia": 1})
    (finding,) = gpu_findings(facts, withheld=GIVEN)
    assert (finding.state, finding.hint) == ("broken", "install the driver")
    assert finding.found == "there is none; the machine has 1 of NVIDIA, this process was given none"


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("mismatch", "restart the machine: the driver was replaced while the old one is running"),
        ("not-loaded", "load it (`modprobe nvidia`), or restart the machine"),
        ("failed", None),
    ],
)
def test_a_driver_by_halves(state: str, hint: str | None) -> None:
    driver = DriverFacts(state=state, reason="the reason")  # type: ignore[arg-type]
    (finding,) = gpu_findings(replace(machine(driver), cards={"nvidia": 1}), withheld=GIVEN)
    assert (finding.state, finding.hint) == ("broken", hint)
    assert finding.found == "the reason; the machine has 1 of NVIDIA, this process was given none"
    assert exit_code_of([finding]) == ExitCode.FAILURE


def test_libraries_of_a_driver_without_a_card_are_nothing_bad() -> None:
    """Programs that may use a GPU install them everywhere."""
    findings = list(
        gpu_findings(machine(DriverFacts(state="not-loaded", reason="no driver")), withheld=GIVEN)
    )
    assert [(item.state, item.found) for item in findings] == [("missing", "no driver")]
    assert exit_code_of(findings) == ExitCode.OK


INTEGRATED = DriverFacts(state="failed", reason="/dev/kfd may not be opened by this user")
"""What a person meets whose processor has graphics of AMD, and who is not in group `render`."""


def test_graphics_of_the_processor_beside_a_gpu_that_works_are_nothing_bad() -> None:
    facts = replace(machine(READY, T4, amd=INTEGRATED), cards={"nvidia": 1, "amd": 1})
    findings = list(gpu_findings(facts, withheld=GIVEN))
    assert [item.name for item in findings if item.state == "missing"] == ["AMD driver"]
    assert exit_code_of(findings) == ExitCode.OK
    assert findings[-1].hint is not None
    assert "render" in findings[-1].hint


def test_alone_they_may_be_what_is_meant() -> None:
    facts = replace(machine(amd=INTEGRATED), cards={"amd": 1})
    assert exit_code_of(gpu_findings(facts, withheld=GIVEN)) == ExitCode.FAILURE
    (finding,) = gpu_findings(
        replace(facts, drivers={"nvidia": ABSENT, "amd": DriverFacts(state="not-loaded")}), withheld=GIVEN
    )
    assert finding.hint is not None
    assert "nvidia" not in finding.hint


def test_a_driver_without_a_cuda_that_works_is_broken() -> None:
    findings = list(gpu_findings(machine(replace(READY, library_status=999), T4), withheld=GIVEN))
    broken = [(item.name, item.found) for item in findings if item.state == "broken"]
    assert broken == [
        (
            "CUDA",
            "unknown error; the kernel's module nvidia-uvm may not be loaded (error 999, cudaErrorUnknown)",
        )
    ]
    assert exit_code_of(findings) == ExitCode.FAILURE


def test_forward_compatibility_and_a_lost_gpu_are_said() -> None:
    lost = GpuDevice(vendor="nvidia", index=1, problem="GPU is lost")
    driver = replace(READY, version="535.104.05")
    assert told(machine(driver, T4, lost))[1:4] == [
        ("ok", "highest CUDA", "13.0, by forward compatibility"),
        ("ok", "GPU 0", "Tesla T4, sm_75, 15 GiB"),
        ("broken", "GPU 1", "GPU is lost"),
    ]


def test_gpus_of_amd() -> None:
    device = GpuDevice(vendor="amd", index=0, name="aldebaran", architecture="gfx90a", memory=64 << 30)
    facts = machine(ABSENT, device, amd=DriverFacts(state="ready"))
    assert told(facts) == [
        ("ok", "AMD driver", "loaded"),
        ("ok", "GPU 0", "aldebaran, gfx90a, 64 GiB"),
        ("ok", "GPUs in containers", "the engine gives AMD's"),
    ]


def test_a_driver_that_shows_no_gpu() -> None:
    assert told(machine(READY))[-1] == ("missing", "NVIDIA GPUs", "the driver shows none")


def test_the_first_thing_broken_decides_the_exit_code() -> None:
    fine = Finding(name="Python", state="ok", found="3.11")
    optional = failed("apt", EngineError("no apt"), state="missing")
    engine = failed("Docker Engine", EngineError("none answers", hint="start it"))
    index = failed("Python index", NetworkError("cannot be reached"))
    assert exit_code_of([fine, optional]) == ExitCode.OK
    assert exit_code_of([fine, optional, index, engine]) == ExitCode.NETWORK
    assert document([fine, engine], None) == {
        "exit-code": 6,
        "findings": [
            {"name": "Python", "state": "ok", "found": "3.11", "hint": None},
            {"name": "Docker Engine", "state": "broken", "found": "none answers", "hint": "start it"},
        ],
        "gpu": None,
    }


def test_an_engine_that_gives_no_gpus_by_nature_is_no_fault() -> None:
    *_, last = gpu_findings(
        machine(READY, T4), withheld={"nvidia": "it gives none", "amd": None}, by_nature=True
    )
    assert last == Finding(name="GPUs in containers", state="none", found="it gives none")
