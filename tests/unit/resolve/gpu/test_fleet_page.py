"""The tables of docs/explanation/fleet.md are what the program answers (`make golden` fills them in)."""

import re
from collections.abc import Iterator

import pytest

from envbuild.lock.gpu import GpuArchitectures, GpuVerdict
from envbuild.resolve.gpu.fleet import fleet_verdicts
from tests.rig.paths import CHECKOUT

PAGE = CHECKOUT / "docs/explanation/fleet.md"
LEAST_ROWS = 16


def rows_between(text: str, start: str, end: str) -> Iterator[tuple[str, ...]]:
    table = text.partition(start)[2].partition(end)[0]
    for line in table.strip().splitlines()[2:]:
        yield tuple(cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|"))


def counts(cell: str) -> dict[str, int]:
    pairs = (entry.split() for entry in cell.split(",") if entry.strip())
    return {name: int(number) for name, number in pairs}


def read_locks(text: str) -> dict[str, tuple[str, bool, tuple[GpuArchitectures, ...]]]:
    locks: dict[str, tuple[str, bool, tuple[GpuArchitectures, ...]]] = {}
    for name, cuda, library, cubins, ptx, compat in rows_between(text, "<!-- locks -->", "<!-- verdicts -->"):
        package, version, *_ = name.split()
        code = GpuArchitectures(
            wheel=f"{package}-{version}-cp311-cp311-linux_x86_64.whl",
            library=library,
            role="framework",
            cubins=counts(cubins),
            ptx=counts(ptx),
        )
        before = locks.get(name, (cuda, compat == "yes", ()))[2]
        locks[name] = (cuda, compat == "yes", (*before, *((code,) if library else ())))
    return locks


def verdict_on(row: tuple[str, ...], text: str) -> GpuVerdict:
    gpu, driver, lock = row[:3]
    cuda, compat, code = read_locks(text)[lock]
    (verdict,) = fleet_verdicts((gpu,), driver or None, cuda, code, compat=compat)
    return verdict


def line_of(row: tuple[str, ...], verdict: GpuVerdict) -> str:
    runs = "yes" if verdict.ok else "**no**"
    cells = (*row[:3], verdict.driver_state, verdict.kernels, runs, verdict.reason)
    return "| " + " | ".join(cells) + " |"


def test_the_page_shows_what_the_program_answers(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text("utf-8")
    rows = list(rows_between(text, "<!-- verdicts -->", "<!-- end -->"))
    answered = [line_of(row, verdict_on(row, text)) for row in rows]
    if request.config.getoption("--update-golden"):
        head, _, rest = text.partition("<!-- verdicts -->\n")
        header = rest.splitlines()[:2]
        tail = rest.partition("<!-- end -->")[2]
        text = head + "\n".join(("<!-- verdicts -->", *header, *answered, "<!-- end -->")) + tail
        PAGE.write_text(text, "utf-8")

    assert [
        "| " + " | ".join(row) + " |" for row in rows_between(text, "<!-- verdicts -->", "<!-- end -->")
    ] == (answered)
    assert len(rows) >= LEAST_ROWS
    assert len({row[:3] for row in rows}) == len(rows)


def test_the_table_has_every_state() -> None:
    text = PAGE.read_text("utf-8")
    verdicts = [verdict_on(row, text) for row in rows_between(text, "<!-- verdicts -->", "<!-- end -->")]

    assert {verdict.driver_state for verdict in verdicts} == {
        "toolkit",
        "minor-version",
        "forward-compatibility",
        "too-old",
        "too-new",
        "unknown",
    }
    assert {verdict.kernels for verdict in verdicts} == {"cubin", "ptx", "none", "unknown"}


def test_every_state_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))

    assert explained == {
        "toolkit",
        "minor-version",
        "forward-compatibility",
        "too-old",
        "too-new",
        "unknown",
        "cubin",
        "ptx",
        "none",
    }
