"""Why a target has the CUDA and the base it has, from its lock alone, in words for people.  Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.errors import NoSolutionError
from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import Base, Lock, Target
from envbuild.resolve.gpu.choose_base import BaseChoice, choose_base, newest_libc_of
from envbuild.resolve.gpu.conda import with_conda
from envbuild.resolve.gpu.derive import derive
from envbuild.resolve.gpu.findings import find
from envbuild.resolve.gpu.match_base import packages_of
from envbuild.spec.request import BaseRequest, GpuRequest
from envbuild.visible import visible


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A heading and what stands below it, one fact a line."""

    title: str
    lines: tuple[str, ...]


def explain_gpu(lock: Lock, target: Target, *, catalog: Catalog = BUILT_IN) -> tuple[ReportSection, ...]:
    """Return what was derived from what, which base was chosen and why, and what was rejected."""
    asked = lock.request.variants[target.variant]
    if target.gpu is None or asked.gpu is None:
        return (ReportSection("no GPU", ("[gpu] is not there, or switched off in this variant",)),)
    facts, gpu = target.gpu, asked.gpu
    wheels = lock.wheels_of(target)
    packages = packages_of(wheels)
    derived = with_conda(derive(packages, catalog=catalog), lock.conda_of(target))
    choice: BaseChoice | None = None
    problem: tuple[str, ...] = ()
    try:
        choice = choose_base(
            derived,
            gpu,
            python=asked.python,
            libc=newest_libc_of(wheel.file for wheel in wheels),
            catalog=catalog,
        )
    except NoSolutionError as error:
        problem = (error.message,)
    notes = [
        *(finding.message for finding in find(packages, derived, gpu, catalog=catalog)),
        *(choice.warnings if choice and asked.base == BaseRequest() else problem),
    ]
    sections = [
        ReportSection(_title(facts), facts.evidence or ("nothing that is locked says more",)),
        ReportSection("driver", tuple(_driver(facts, gpu))),
        _base(lock.base(target), facts, asked.base, choice),
        ReportSection("rejected", choice.rejected if choice and choice.flavour == facts.image else ()),
        ReportSection("environment", tuple(_environment(lock.base(target), target))),
        ReportSection("libraries that would be loaded", tuple(_libraries(facts))),
        ReportSection("device code", tuple(_architectures(facts))),
        ReportSection("fleet", tuple(_fleet(facts))),
        ReportSection("notes", tuple(notes)),
    ]
    return tuple(section for section in sections if section.lines)


def text_of(sections: Sequence[ReportSection]) -> str:
    """Return sections as they are shown, without a line break at the end."""
    blocks = (
        "\n".join([visible(section.title), *(visible(f"  {line}", limit=None) for line in section.lines)])
        for section in sections
    )
    return "\n\n".join(blocks)


def _title(facts: TargetGpu) -> str:
    name = "CUDA" if facts.vendor == "nvidia" else "ROCm"
    known = facts.runtime or "/".join(map(str, facts.majors)) or "of an unknown version"
    update = f", update {facts.toolkit}" if facts.toolkit else ""
    return f"{name} {known}{update}"


def _driver(facts: TargetGpu, gpu: GpuRequest) -> Iterator[str]:
    if facts.driver_minimum:
        major = max(facts.majors)
        yield f"{facts.driver_minimum} or newer: minor-version compatibility of CUDA {major} begins there"
    if facts.driver_toolkit and facts.driver_toolkit != facts.driver_minimum:
        yield f"{facts.driver_toolkit} or newer knows this version itself, PTX included"
    if gpu.driver:
        yield f"the fleet has {gpu.driver.removeprefix('>=')} or newer"


def _base(base: Base, facts: TargetGpu, asked: BaseRequest, choice: BaseChoice | None) -> ReportSection:
    name = base.image.reference if base.image else base.key.partition(" ")[0]
    platform = "ROCm" if facts.vendor == "amd" else "CUDA"
    brings = f"no {platform}" if facts.image == "slim" else f"flavour {facts.image}"
    if asked != BaseRequest():
        return ReportSection(f"base {name}, {brings}", ("the spec names it", *_instead(facts, choice)))
    return ReportSection(f"base {name}, {brings}", choice.reasons if choice else ())


def _instead(facts: TargetGpu, choice: BaseChoice | None) -> Iterator[str]:
    """Yield what would have been chosen, where the spec named a base."""
    if choice and choice.flavour == facts.image:
        yield f"{choice.flavour} is what would be chosen too: {choice.reasons[0]}"
    elif choice:
        yield f"{choice.flavour} would be chosen without [base]: {choice.reasons[0]}"


def _environment(base: Base, target: Target) -> Iterator[str]:
    for name, value in sorted(target.env.items()):
        if name == "NVIDIA_DISABLE_REQUIRE" and name not in base.env:
            yield f"{name}={value}: the drivers that run it are those above, not those the base names"
        elif name.startswith("NVIDIA_") and name not in base.env:
            yield f"{name}={value}: NVIDIA's container runtime shows the GPUs"
        elif name == "LD_LIBRARY_PATH" and value != base.env.get(name, value):
            yield (
                f"{name}={value}: without the base's own CUDA, which would be loaded before the wheels' "
                f"(the base says {base.env[name]})"
            )


def _libraries(facts: TargetGpu) -> Iterator[str]:
    rows = [(item.soname, item.version, item.provider) for item in facts.libraries]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _architectures(facts: TargetGpu) -> Iterator[str]:
    """Yield the counts of each framework library, and what each wheel of support has any of."""
    for item in facts.architectures:
        if item.role == "framework":
            cubins = ", ".join(f"{count} of {name}" for name, count in item.cubins.items())
            ptx = ", ".join(f"{count} of {name}" for name, count in item.ptx.items())
            yield f"{item.library} decides: {cubins or 'no machine code'}; PTX: {ptx or 'none'}"
    support: dict[str, dict[str, None]] = {}
    for item in facts.architectures:
        if item.role == "support":
            support.setdefault(item.wheel.partition("-")[0], {}).update(
                dict.fromkeys([*item.cubins, *item.ptx])
            )
    for wheel, names in support.items():
        yield f"{wheel} supports it: {', '.join(sorted(names, key=_order))}"


def _order(name: str) -> tuple[bool, int, str]:
    number = name.rpartition("_")[2]
    return name.startswith("compute_"), int(number.rstrip("af")), number


def _fleet(facts: TargetGpu) -> Iterator[str]:
    for verdict in facts.fleet:
        driver = f" on driver {verdict.driver}" if verdict.driver else ""
        outcome = "ok" if verdict.ok else "no"
        yield f"{outcome}  {verdict.target} ({verdict.capability}){driver}: {verdict.reason}"
