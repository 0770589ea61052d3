"""The catalogue as a few plain tables, for people to read and programs to search."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from envbuild.catalog.components import ComponentTable
from envbuild.catalog.cuda import CudaTable, driver_for
from envbuild.catalog.cuda_images import cuda_images
from envbuild.catalog.distributions import DistributionTable
from envbuild.catalog.drivers import DriverTable
from envbuild.catalog.frameworks import FrameworkTable, builds_of
from envbuild.catalog.gpus import GpuModelTable, all_gpus
from envbuild.catalog.rocm import RocmTable, rocm_images
from envbuild.catalog.tables import Catalog
from envbuild.catalog.versions import minor_of, version_key

Cells = dict[str, Any]
"""One row by column, each cell a text, a number or None."""


@dataclass(frozen=True, slots=True)
class ListedTable:
    """One table."""

    about: str
    """What is in it, in a few words."""

    rows: Callable[[Catalog], Iterator[Cells]]


def _cuda(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(CudaTable)
    for version in sorted(table.minors, key=version_key):
        driver = driver_for(version, catalog)
        updates = [update for update in table.toolkits if minor_of(update) == version]
        yield {
            "cuda": version,
            "branch": table.minors[version].branch,
            "toolkit-driver": driver.toolkit if driver else None,
            "minimum-driver": driver.minimum if driver else None,
            "updates": " ".join(sorted(updates, key=version_key)),
            "source": table.sources[table.minors[version].source],
        }


def _architectures(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(CudaTable)
    for version in sorted(table.architectures, key=version_key):
        row = table.architectures[version]
        yield {"from-cuda": version, "capabilities": row.capabilities, "source": table.sources[row.source]}


def _drivers(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(DriverTable)
    for branch, row in sorted(table.branches.items(), key=lambda item: int(item[0])):
        lifted = [
            version for version, lift in table.forward_compatibility.items() if int(branch) in lift.branches
        ]
        yield {
            "branch": int(branch),
            "kind": row.kind,
            "end-of-life": row.end_of_life,
            "lifted-to": " ".join(sorted(lifted, key=version_key)),
            "source": table.sources[row.source],
        }


def _gpus(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(GpuModelTable)
    for gpu in all_gpus(catalog):
        source = table.sources[table.gpus[gpu.name].source]
        yield {"gpu": gpu.name, "capability": gpu.capability, "kind": gpu.kind, "source": source}


def _images(catalog: Catalog) -> Iterator[Cells]:
    for image in cuda_images(catalog=catalog):
        yield {
            "image": image.reference,
            "cudnn": image.cudnn,
            "nccl": image.nccl,
            "libc": image.libc,
            "python": image.python,
            "known": image.evidence,
            "superseded-by": image.superseded_by,
            "source": image.source,
        }


def _components(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(ComponentTable)
    for name, row in table.components.items():
        sonames = {**row.sonames, **row.sonames_by_version}
        yield {
            "component": name,
            "wheels": " ".join(dict.fromkeys(row.wheels.values())),
            "libraries": " ".join(dict.fromkeys(sonames.values())),
            "source": table.sources[row.source],
        }


def _toolkits(catalog: Catalog) -> Iterator[Cells]:
    table, cuda = catalog.table(ComponentTable), catalog.table(CudaTable)
    for update in sorted({*cuda.toolkits, *table.toolkits}, key=version_key):
        row, parts = cuda.toolkits.get(update), table.toolkits.get(update)
        source = cuda.sources[row.source] if row else table.sources[parts.source] if parts else None
        yield {
            "toolkit": update,
            "driver": row.driver if row else None,
            "cudart": row.runtime if row else None,
            "cublas": parts.versions.get("cublas") if parts else None,
            "nvrtc": parts.versions.get("nvrtc") if parts else None,
            "source": source,
        }


def _frameworks(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(FrameworkTable)
    for name in table.builds:
        for build in builds_of(name, catalog):
            yield {
                "framework": name,
                "from": build.since,
                "build": build.build,
                "cuda": build.cuda,
                "cudnn": None,
                "runs-on": " ".join(cubin.dotted for cubin in build.cubins),
                "from-system-unless": None,
                "source": build.source,
            }
    for name, rows in table.system_cuda.items():
        for version in sorted(rows.since, key=version_key):
            row = rows.since[version]
            yield {
                "framework": name,
                "from": version,
                "build": None,
                "cuda": row.cuda,
                "cudnn": row.cudnn,
                "runs-on": None,
                "from-system-unless": f"[{row.brought_by}]" if row.brought_by else "(always)",
                "source": table.sources[row.source],
            }


def _rocm(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(RocmTable)
    for name, row in table.gpus.items():
        yield {"name": name, "target": row.target, "libc": None, "source": table.sources[row.source]}
    for image in rocm_images(catalog=catalog):
        yield {"name": image.reference, "target": None, "libc": image.libc, "source": image.source}


def _bases(catalog: Catalog) -> Iterator[Cells]:
    table = catalog.table(DistributionTable)
    for python, image in table.images.items():
        yield {"base": image.replace("{python}", python), "python": python, "source": table.sources["images"]}
    for name, row in table.distributions.items():
        yield {"base": name, "python": row.python, "source": table.sources[row.source]}


LISTED: Final[Mapping[str, ListedTable]] = {
    "cuda": ListedTable("CUDA versions and the drivers they need", _cuda),
    "architectures": ListedTable("compute capabilities CUDA makes code for", _architectures),
    "toolkits": ListedTable("toolkit updates and what is in them", _toolkits),
    "drivers": ListedTable("driver branches and forward compatibility", _drivers),
    "gpus": ListedTable("GPUs and their compute capability", _gpus),
    "images": ListedTable("tags of nvidia/cuda", _images),
    "components": ListedTable("wheels that bring parts of CUDA", _components),
    "frameworks": ListedTable("builds of frameworks, and what they want of the system", _frameworks),
    "rocm": ListedTable("AMD's GPUs and images", _rocm),
    "bases": ListedTable("default images and distributions", _bases),
}
"""Name → table."""


def matching(rows: Iterator[Cells], words: tuple[str, ...]) -> list[Cells]:
    """Return the rows that have every word in some cell, whatever the case; the source is no cell."""
    wanted = [word.lower() for word in words]
    return [
        row
        for row in rows
        if all(
            any(
                word in str(value).lower()
                for key, value in row.items()
                if key != "source" and value is not None
            )
            for word in wanted
        )
    ]
