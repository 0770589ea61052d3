"""CPUs as Linux describes them."""

import os
from pathlib import Path

import pytest
from envbuild_runtime import cpu

X86 = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9654   96-Core Processor
flags\t\t: {flags}

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
V2 = "fpu cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"

ARM = """\
processor\t: 0
Features\t: fp asimd sve
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CPU_FILE", "QUOTA_FILE", "OLD_QUOTA_FILE", "OLD_PERIOD_FILE"):
        monkeypatch.setattr(cpu, name, str(tmp_path / name))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("fpu", None),
        (V2, "x86-64-v2"),
        (V3, "x86-64-v3"),
        (V4, "x86-64-v4"),
        (V4.replace("avx2 ", ""), "x86-64-v2"),
    ],
    ids=["v1", "v2", "v3", "v4", "without avx2"],
)
def test_the_level_is_the_highest_whose_features_are_all_there(
    flags: str, level: str | None, lay: Path
) -> None:
    (lay / "CPU_FILE").write_text(X86.format(flags=flags))

    facts = cpu.cpu()

    assert facts["model"] == "AMD EPYC 9654 96-Core Processor"
    assert facts["features"] == sorted(flags.split())
    assert facts.get("level") == level


def test_the_short_form_is_model_and_level(lay: Path) -> None:
    (lay / "CPU_FILE").write_text(X86.format(flags=V3))

    assert cpu.short_cpu() == "AMD EPYC 9654 96-Core Processor (x86-64-v3)"


def test_arm_says_implementer_and_part(lay: Path) -> None:
    (lay / "CPU_FILE").write_text(ARM)

    facts = cpu.cpu()

    assert facts["model"] == "implementer 0x41 part 0xd40"
    assert facts["features"] == ["asimd", "fp", "sve"]
    assert "level" not in facts


def test_without_the_file_the_rest_is_there(lay: Path) -> None:
    facts = cpu.cpu()

    assert facts["logical"] == os.cpu_count()
    assert facts["usable"] == len(os.sched_getaffinity(0))
    assert not {"features", "level", "quota"} & set(facts)


def test_only_the_first_part_of_the_file_is_read(lay: Path) -> None:
    (lay / "CPU_FILE").write_text("x" * cpu.FIRST_BYTES + "\nmodel name\t: late\n")

    assert cpu.cpu()["model"] != "late"


@pytest.mark.parametrize(("text", "quota"), [("max 100000\n", None), ("750000 100000\n", 7.5)])
def test_the_limit_of_the_second_cgroups(text: str, quota: float | None, lay: Path) -> None:
    (lay / "QUOTA_FILE").write_text(text)

    assert cpu.quota() == quota


@pytest.mark.parametrize(("text", "quota"), [("-1\n", None), ("150000\n", 1.5)])
def test_the_limit_of_the_first_cgroups(text: str, quota: float | None, lay: Path) -> None:
    (lay / "OLD_QUOTA_FILE").write_text(text)
    (lay / "OLD_PERIOD_FILE").write_text("100000\n")

    assert cpu.quota() == quota


def test_a_limit_that_is_no_number_is_no_fact(lay: Path) -> None:
    (lay / "QUOTA_FILE").write_text("many 0\n")

    assert "quota" not in cpu.cpu()
