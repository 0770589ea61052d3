"""What each table of the catalogue must be by itself, and what it needs of the others."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from envbuild.catalog.capability import ComputeCapability, capabilities
from envbuild.catalog.components import ComponentTable
from envbuild.catalog.cuda import CudaTable, architectures_of
from envbuild.catalog.cuda_images import CudaImageTable, parse_tag
from envbuild.catalog.drivers import DriverTable
from envbuild.catalog.frameworks import FrameworkTable
from envbuild.catalog.gpus import GpuModelTable
from envbuild.catalog.rocm import RocmTable
from envbuild.catalog.tables import Catalog, words
from envbuild.catalog.versions import major_of, minor_of, version_key

Kind = Literal["hole", "contradiction"]


@dataclass(frozen=True, slots=True, order=True)
class Flaw:
    """One thing that is missing, or two that cannot both be."""

    where: str
    """File, section and key: ``cuda minors 13.6``."""

    kind: Kind
    message: str


def _cuda_versions(catalog: Catalog) -> Iterator[Flaw]:
    table = catalog.table(CudaTable)
    branches = [(version, table.minors[version].branch) for version in sorted(table.minors, key=version_key)]
    for version, branch in branches:
        if str(major_of(version)) not in table.majors:
            yield Flaw(f"cuda minors {version}", "hole", f"CUDA {major_of(version)} is not among the majors")
        if branch is None:
            yield Flaw(f"cuda minors {version}", "hole", "its driver branch is not known")
    known = [(version, branch) for version, branch in branches if branch is not None]
    for (older, before), (newer, after) in pairwise(known):
        if after <= before:
            yield Flaw(
                f"cuda minors {newer}",
                "contradiction",
                f"its driver branch {after} is not newer than {before} of {older}",
            )
    for number, major in table.majors.items():
        own = [branch for version, branch in known if str(major_of(version)) == number]
        if not own:
            yield Flaw(f"cuda majors {number}", "hole", "none of its minor versions is known")
        elif major_of(major.minimum_driver) > min(own):
            yield Flaw(
                f"cuda majors {number}",
                "contradiction",
                f"its minimum driver {major.minimum_driver} is newer than its first branch, {min(own)}",
            )


def _toolkits(catalog: Catalog) -> Iterator[Flaw]:
    table = catalog.table(CudaTable)
    updates = sorted(table.toolkits, key=version_key)
    for update in updates:
        row, where = table.toolkits[update], f"cuda toolkits {update}"
        minor = table.minors.get(minor_of(update))
        if minor is None:
            yield Flaw(where, "hole", f"CUDA {minor_of(update)} is not among the minors")
        elif row.driver and minor.branch and major_of(row.driver) != minor.branch:
            yield Flaw(where, "contradiction", f"driver {row.driver} is not of branch {minor.branch}")
        if row.runtime is None:
            yield Flaw(where, "hole", "its runtime library is not known")
        elif minor_of(row.runtime) != minor_of(update):
            yield Flaw(where, "contradiction", f"runtime {row.runtime} is of another CUDA")
    for name in table.minors:
        if not any(minor_of(update) == name for update in updates):
            yield Flaw(f"cuda minors {name}", "hole", "no update of its toolkit is known")


def _order_of_toolkits(catalog: Catalog) -> Iterator[Flaw]:
    toolkits = catalog.table(CudaTable).toolkits
    for key, what in (("driver", "driver"), ("runtime", "runtime library")):
        told = [
            (update, value)
            for update in sorted(toolkits, key=version_key)
            if (value := getattr(toolkits[update], key))
        ]
        for (older, before), (newer, after) in pairwise(told):
            if version_key(after) < version_key(before):
                yield Flaw(
                    f"cuda toolkits {newer}",
                    "contradiction",
                    f"its {what} {after} is older than {before} of {older}",
                )


def _architectures(catalog: Catalog) -> Iterator[Flaw]:
    table = catalog.table(CudaTable)
    versions = sorted(table.architectures, key=version_key)
    for older, newer in pairwise(versions):
        lost = {*_capabilities(table, older)} - {*_capabilities(table, newer)}
        if lost and major_of(older) == major_of(newer):
            yield Flaw(
                f"cuda architectures {newer}",
                "contradiction",
                f"{_list(lost)} of {older} is gone within one major",
            )
    for number in table.majors:
        if architectures_of(f"{number}.99", catalog) is None:
            yield Flaw(f"cuda majors {number}", "hole", "what it makes code for is not known")
    for name, generation in table.generations.items():
        last = generation.last_cuda_major
        for capability in capabilities(generation.capabilities):
            made = {
                major_of(version) for version in versions if capability in {*_capabilities(table, version)}
            }
            if last is not None and made and max(made) != last:
                yield Flaw(
                    f"cuda generations {name}",
                    "contradiction",
                    f"CUDA {last} is said to be the last for {capability}, and {max(made)} makes code for it",
                )


def _capabilities(table: CudaTable, version: str) -> tuple[ComputeCapability, ...]:
    return capabilities(table.architectures[version].capabilities)


def _list(found: set[ComputeCapability]) -> str:
    return ", ".join(capability.dotted for capability in sorted(found))


def _drivers(catalog: Catalog) -> Iterator[Flaw]:
    minors = catalog.table(CudaTable).minors
    for version, row in catalog.table(DriverTable).forward_compatibility.items():
        where = f"drivers forward-compatibility {version}"
        if version not in minors:
            yield Flaw(where, "hole", f"CUDA {version} is not among the minors")
            continue
        branch = minors[version].branch
        if row.own_branch is not None and branch is not None and row.own_branch != branch:
            yield Flaw(where, "contradiction", f"its own branch is {row.own_branch} here, {branch} in cuda")
        if branch is not None and any(lifted >= branch for lifted in row.branches):
            yield Flaw(where, "contradiction", f"it lifts branches that have CUDA {version} by themselves")


def _gpus(catalog: Catalog) -> Iterator[Flaw]:
    table = catalog.table(CudaTable)
    known = {capability for version in table.architectures for capability in _capabilities(table, version)}
    grouped = {
        capability for row in table.generations.values() for capability in capabilities(row.capabilities)
    }
    for name, row in catalog.table(GpuModelTable).gpus.items():
        capability = ComputeCapability.parse(row.capability)
        if capability not in known:
            yield Flaw(f"gpus gpus {name}", "hole", f"no CUDA is known that makes code for {capability}")
        if capability not in grouped:
            yield Flaw(f"gpus gpus {name}", "hole", f"{capability} is of no generation")


def _images(catalog: Catalog) -> Iterator[Flaw]:
    table, cuda = catalog.table(CudaImageTable), catalog.table(CudaTable)
    for version, rows in table.tags.items():
        where = f"cuda-images tags {version}"
        if version not in cuda.toolkits:
            yield Flaw(where, "hole", "the toolkit is not known")
        tags = Counter(
            f"{version}-{flavour}-{distribution}"
            for row in rows
            for flavour in words(row.flavours)
            for distribution in words(row.distributions)
        )
        for tag, times in sorted(tags.items()):
            parsed = parse_tag(tag)
            if parsed is None:
                yield Flaw(where, "contradiction", f"`{tag}` is not a tag")
            elif parsed.distribution not in table.distributions:
                yield Flaw(where, "hole", f"what {parsed.distribution} is made of is not known")
            if times > 1:
                yield Flaw(where, "contradiction", f"`{tag}` is listed {times} times")


def _contents_of_images(catalog: Catalog) -> Iterator[Flaw]:
    table = catalog.table(CudaImageTable)
    for version in table.libraries:
        if not table.tags.get(version) and not catalog.is_updated:
            yield Flaw(f"cuda-images libraries {version}", "contradiction", "there is no image of it")
    for tag in table.sizes:
        if parse_tag(tag) is None:
            yield Flaw(f"cuda-images sizes {tag}", "contradiction", "it is not a tag")


def _components(catalog: Catalog) -> Iterator[Flaw]:
    table, cuda = catalog.table(ComponentTable), catalog.table(CudaTable)
    owners = Counter(wheel for row in table.components.values() for wheel in row.wheels.values())
    for wheel, times in owners.items():
        if times > 1:
            yield Flaw(
                f"components components {wheel}", "contradiction", f"{times} components are this wheel"
            )
    for update, row in table.toolkits.items():
        where, toolkit = f"components toolkits {update}", cuda.toolkits.get(update)
        runtime = row.versions.get("cudart")
        if toolkit is None:
            yield Flaw(where, "hole", "the toolkit is not known")
        elif runtime and toolkit.runtime and runtime != toolkit.runtime:
            yield Flaw(where, "contradiction", f"its runtime is {runtime} here, {toolkit.runtime} in cuda")
        for name, version in row.versions.items():
            component = table.components.get(name)
            if component is None:
                yield Flaw(where, "hole", f"component {name} is not known")
            elif component.cuda_version and minor_of(version) != minor_of(update):
                yield Flaw(where, "contradiction", f"{name} {version} is of another CUDA")


def _system_cuda(catalog: Catalog) -> Iterator[Flaw]:
    cuda = catalog.table(CudaTable)
    for name, rows in catalog.table(FrameworkTable).system_cuda.items():
        where = f"frameworks system-cuda {name}"
        yield from _beyond(where, rows.last, rows.since)
        for version, row in rows.since.items():
            if row.cuda not in (cuda.minors if "." in row.cuda else cuda.majors):
                yield Flaw(f"{where} {version}", "hole", f"CUDA {row.cuda} is not known")


def _builds(catalog: Catalog) -> Iterator[Flaw]:
    cuda, table = catalog.table(CudaTable), catalog.table(FrameworkTable)
    named = {
        f"{name} {build}": rows for name, builds in table.builds.items() for build, rows in builds.items()
    }
    for name, rows in named.items():
        yield from _beyond(f"frameworks builds {name}", rows.last, rows.since)
        for version, row in rows.since.items():
            where, known = f"frameworks builds {name} {version}", architectures_of(row.cuda, catalog)
            if row.cuda not in cuda.minors or known is None:
                yield Flaw(where, "hole", f"CUDA {row.cuda} is not known")
            elif more := {*capabilities(row.capabilities)} - {*known}:
                yield Flaw(where, "contradiction", f"CUDA {row.cuda} makes no code for {_list(more)}")
    for name, other in table.alternatives.items():
        if other.cuda not in cuda.minors:
            yield Flaw(f"frameworks alternatives {name}", "hole", f"CUDA {other.cuda} is not known")


def _beyond(where: str, last: str, rows: Mapping[str, Any]) -> Iterator[Flaw]:
    for version in rows:
        if version_key(version) > version_key(last):
            yield Flaw(f"{where} {version}", "contradiction", f"it is newer than the last, {last}")


def _rocm(catalog: Catalog) -> Iterator[Flaw]:
    for distribution, row in catalog.table(RocmTable).images.items():
        for tag in words(row.tags):
            if not re.fullmatch(r"[0-9]+(\.[0-9]+)+(-complete)?", tag):
                yield Flaw(f"rocm images {distribution}", "contradiction", f"`{tag}` is not a tag")
    for name, gpu in catalog.table(RocmTable).gpus.items():
        if not re.fullmatch(r"gfx[0-9]{2,3}[0-9a-f]", gpu.target):
            yield Flaw(f"rocm gpus {name}", "contradiction", f"`{gpu.target}` is not a target")


RULES: Final[tuple[Callable[[Catalog], Iterator[Flaw]], ...]] = (
    _cuda_versions,
    _toolkits,
    _order_of_toolkits,
    _architectures,
    _drivers,
    _gpus,
    _images,
    _contents_of_images,
    _components,
    _system_cuda,
    _builds,
    _rocm,
)
