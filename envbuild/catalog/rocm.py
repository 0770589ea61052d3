"""AMD's GPUs and images with ROCm: few facts, for wheels built for ROCm bring what they need."""

import difflib
import re
from typing import ClassVar, Final

from envbuild.catalog.gpus import MOST_NEAR_NAMES
from envbuild.catalog.tables import BUILT_IN, Catalog, CatalogTable, Row, words
from envbuild.catalog.versions import MinorVersion, version_key
from envbuild.errors import SpecError
from envbuild.values import Value

REPOSITORY: Final = "rocm/dev-ubuntu-"

_TARGET = re.compile(r"gfx[0-9]{2,3}[0-9a-f]")


class AmdGpuRow(Row):
    """One line of the table."""

    target: str


class RocmImageRow(Row):
    """Images on one distribution."""

    tags: str
    libc: MinorVersion
    python: MinorVersion


class AmdDriverRow(Row):
    """How far ROCm and the kernel driver may be apart."""

    releases_apart: int


class RocmTable(CatalogTable):
    """``data/rocm.toml``."""

    file: ClassVar[str] = "rocm"
    gpus: dict[str, AmdGpuRow]
    images: dict[str, RocmImageRow]
    drivers: dict[str, AmdDriverRow]


class AmdGpu(Value):
    """One kind of AMD GPU."""

    name: str
    target: str
    """What code is made for: ``gfx942``."""


class RocmImage(Value):
    """One tag of rocm/dev-ubuntu-…."""

    reference: str
    rocm: str
    """``7.1.1``."""

    distribution: str
    """``ubuntu24.04``."""

    libc: str
    python: str
    complete: bool
    """Whether it has every library of ROCm, and not the compilers alone."""

    source: str


def find_amd_gpu(name: str, catalog: Catalog = BUILT_IN) -> AmdGpu:
    """Return the GPU of this name: in full, in short (``MI300X``, ``RX 7900 XTX``), or as ``gfx942``.

    :raises SpecError: there is none; the hint names those that are near.
    """
    rows = catalog.table(RocmTable).gpus
    wanted = " ".join(name.lower().split())
    if _TARGET.fullmatch(wanted):
        if wanted in {row.target for row in rows.values()}:
            return AmdGpu(name=wanted, target=wanted)
        known = ", ".join(sorted({row.target for row in rows.values()}))
        raise SpecError(f"no GPU of the catalogue is {wanted}", hint=f"known are {known}")
    shorts = {_short(full): full for full in rows}
    found = shorts.get(_short(wanted))
    if found:
        return AmdGpu(name=found, target=rows[found].target)
    close = difflib.get_close_matches(_short(wanted), sorted(shorts), n=MOST_NEAR_NAMES, cutoff=0.6)
    names = " or ".join(f"`{shorts[match]}`" for match in close)
    raise SpecError(
        f"unknown GPU `{name}`",
        hint=f"did you mean {names}?" if close else "write what code is made for, such as `gfx942`",
    )


def rocm_images(rocm: str | None = None, catalog: Catalog = BUILT_IN) -> tuple[RocmImage, ...]:
    """Return the images of a ROCm version (``7.1`` or ``7.1.1``), or all: newest first."""
    table = catalog.table(RocmTable)
    found = []
    for distribution, row in table.images.items():
        for tag in words(row.tags):
            version, _, kind = tag.partition("-")
            if rocm is None or version == rocm or version.startswith(f"{rocm}."):
                found.append(
                    RocmImage(
                        reference=f"{REPOSITORY}{distribution}:{tag}",
                        rocm=version,
                        distribution=f"ubuntu{distribution}",
                        libc=row.libc,
                        python=row.python,
                        complete=kind == "complete",
                        source=table.sources[row.source],
                    )
                )
    return tuple(
        sorted(found, key=lambda image: (version_key(image.rocm), image.distribution, image.complete))[::-1]
    )


def _short(name: str) -> str:
    return re.sub(r"^(?:amd )?(?:instinct |radeon )?", "", " ".join(name.lower().split()))
