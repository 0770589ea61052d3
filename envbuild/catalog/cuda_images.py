"""Images of nvidia/cuda: which tags there are, what is in them, and how long they will be."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from pydantic import PositiveInt, TypeAdapter

from envbuild.catalog.tables import BUILT_IN, Catalog, CatalogTable, Row, words
from envbuild.catalog.versions import MinorVersion, Month, UpdateVersion, Version, minor_of, version_key
from envbuild.values import Value

REPOSITORY: Final = "nvidia/cuda"

ImageFlavour = Literal[
    "base", "runtime", "devel", "cudnn-runtime", "cudnn-devel", "tensorrt-runtime", "tensorrt-devel"
]
"""What an image holds.  All have the runtime library and cuda-compat; ``runtime`` adds the other libraries
and NCCL, ``devel`` nvcc and headers, ``cudnn`` cuDNN."""

Evidence = Literal["listed", "sibling"]
"""How a tag is known: some list or file names it, or one of its siblings."""

NEWEST_CUDNN: Final = "9"
"""Major of cuDNN in images whose tag says `cudnn` alone: 12.4.1 and later."""

PackageKind = Literal["debian", "rpm"]

_TAG = re.compile(
    r"(?P<cuda>[0-9]+\.[0-9]+\.[0-9]+)-(?:(?P<extra>cudnn[89]?|tensorrt)-)?(?P<kind>base|runtime|devel)"
    r"-(?P<distribution>(?:ubuntu|rockylinux|oraclelinux|opensuse|centos|ubi|amzn|azl|cm)[0-9.]+)"
)
_PLAIN: Final = ("base", "runtime", "devel")
_FLAVOUR: Final = TypeAdapter[ImageFlavour](ImageFlavour)


class ImageDistribution(Row):
    """What an image stands on."""

    packages: PackageKind
    libc: MinorVersion
    """Version of glibc."""

    python: MinorVersion | None = None
    """``major.minor`` of its own Python."""

    end_of_life: Month | None = None
    """Month in which its free support ends."""


class TagRow(Row):
    """Tags that differ by flavour and distribution only."""

    flavours: str
    distributions: str
    state: Literal["supported", "unsupported"] | None = None

    complete: bool = False
    """Whether these are all tags there are of the CUDA version, so that no siblings need be guessed."""


class ImageLibraries(Row):
    """Libraries in the images of one CUDA update."""

    cudnn: Version | None = None
    nccl: Version | None = None


class ImageSize(Row):
    """How large an image is."""

    compressed: PositiveInt
    """Bytes of its layers in a registry."""


class CudaImageTable(CatalogTable):
    """``data/cuda-images.toml``."""

    file: ClassVar[str] = "cuda-images"
    distributions: dict[str, ImageDistribution]
    tags: dict[UpdateVersion, tuple[TagRow, ...]]
    libraries: dict[UpdateVersion, ImageLibraries]
    sizes: dict[str, ImageSize]


class CudaImage(Value):
    """One tag."""

    tag: str
    cuda: str
    """Toolkit update: ``12.6.3``."""

    flavour: ImageFlavour
    distribution: str
    """As in the tag: ``ubuntu24.04``."""

    packages: PackageKind
    libc: str
    """Version of glibc."""

    python: str | None
    """``major.minor`` of the distribution's own Python, where it is known."""

    cudnn: str | None
    """Version of cuDNN, its major alone where no more is known; None in images without it."""

    nccl: str | None
    """Version of NCCL where it is known; None also in ``base`` images, which have none."""

    size: int | None
    """Bytes of its layers in a registry, where somebody published it."""

    evidence: Evidence
    state: Literal["supported", "unsupported"] | None
    """NVIDIA's word on the day of its list; None where no list of theirs has it."""

    superseded_by: str | None
    """A newer update of its minor, if there is one: then NVIDIA deletes this image within half a year."""

    distribution_end_of_life: str | None
    """Month in which the distribution's free support ends, where it is known."""

    source: str

    @property
    def reference(self) -> str:
        """The image reference."""
        return f"{REPOSITORY}:{self.tag}"


class ParsedTag(Value):
    """What a tag of nvidia/cuda says."""

    tag: str
    cuda: str
    flavour: str
    """As written: with ``cudnn8`` where the tag says so."""

    distribution: str


def parse_tag(tag: str) -> ParsedTag | None:
    """Read a tag of nvidia/cuda, or return None for one that is not of today's grammar."""
    found = _TAG.fullmatch(tag)
    if found is None or (found["extra"] and found["kind"] == "base"):
        return None
    flavour = f"{found['extra']}-{found['kind']}" if found["extra"] else found["kind"]
    return ParsedTag(tag=tag, cuda=found["cuda"], flavour=flavour, distribution=found["distribution"])


def cuda_images(
    *,
    cuda: str | None = None,
    flavour: ImageFlavour | None = None,
    packages: PackageKind | None = None,
    catalog: Catalog = BUILT_IN,
) -> tuple[CudaImage, ...]:
    """Return the images that fit, newest CUDA first, then newest distribution.

    ``cuda`` is an update (``12.6.3``), a minor (``12.6``) or a major (``12``).
    """
    table = catalog.table(CudaImageTable)
    newest = {
        minor_of(version): version for version in sorted(table.tags, key=version_key) if table.tags[version]
    }
    found = [
        _image(tag, row, evidence, newest[minor_of(version)], table)
        for version in table.tags
        if cuda is None or _is_of(version, cuda)
        for tag, row, evidence in _tags_of(version, table)
        if flavour in {None, _general(tag.flavour)}
        and packages in {None, table.distributions[tag.distribution].packages}
    ]
    return tuple(sorted(found, key=_newest_first))


def python_of_distribution(name: str, catalog: Catalog = BUILT_IN) -> str | None:
    """Return ``major.minor`` of a distribution's own Python (``ubuntu24.04``), or None."""
    found = catalog.table(CudaImageTable).distributions.get(name)
    return found.python if found else None


def _general(flavour: str) -> str:
    """Return a flavour without the major of cuDNN that older tags have in it."""
    return re.sub(r"^cudnn[0-9]", "cudnn", flavour)


def _is_of(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _newest_first(image: CudaImage) -> tuple[tuple[int, ...], str, tuple[int, ...], str]:
    name = image.distribution.rstrip("0123456789.")
    number = version_key(image.distribution[len(name) :])
    return (
        tuple(-part for part in version_key(image.cuda)),
        name,
        tuple(-part for part in number),
        image.flavour,
    )


def _tags_of(version: str, table: CudaImageTable) -> Iterator[tuple[ParsedTag, TagRow, Evidence]]:
    """Yield the tags of one CUDA update: those that are listed, then their siblings."""
    listed = {
        (flavour, distribution): row
        for row in table.tags[version]
        for flavour in words(row.flavours)
        for distribution in words(row.distributions)
    }
    siblings = {
        (sibling, distribution): row
        for (flavour, distribution), row in listed.items()
        for sibling in _siblings(flavour)
        if not row.complete and (sibling, distribution) not in listed
    }
    of_evidence: dict[Evidence, dict[tuple[str, str], TagRow]] = {"listed": listed, "sibling": siblings}
    for evidence, known in of_evidence.items():
        for (flavour, distribution), row in known.items():
            tag = f"{version}-{flavour}-{distribution}"
            yield (
                ParsedTag(tag=tag, cuda=version, flavour=flavour, distribution=distribution),
                row,
                evidence,
            )


def _siblings(flavour: str) -> tuple[str, ...]:
    """Return the flavours that are made together with one that was seen."""
    extra = flavour.rpartition("-")[0]
    with_cudnn = (f"{extra}-runtime", f"{extra}-devel") if extra.startswith("cudnn") else ()
    return (*_PLAIN, *with_cudnn)


def _image(tag: ParsedTag, row: TagRow, evidence: Evidence, newest: str, table: CudaImageTable) -> CudaImage:
    extra = tag.flavour.rpartition("-")[0]
    on = table.distributions[tag.distribution]
    libraries = table.libraries.get(tag.cuda, ImageLibraries(source=row.source))
    size = table.sizes.get(tag.tag)
    cudnn = libraries.cudnn or extra.removeprefix("cudnn") or NEWEST_CUDNN
    return CudaImage(
        tag=tag.tag,
        cuda=tag.cuda,
        flavour=_FLAVOUR.validate_python(_general(tag.flavour)),
        distribution=tag.distribution,
        packages=on.packages,
        libc=on.libc,
        python=on.python,
        cudnn=cudnn if extra.startswith("cudnn") else None,
        nccl=None if tag.flavour == "base" else libraries.nccl,
        size=size.compressed if size else None,
        evidence=evidence,
        state=row.state,
        superseded_by=None if newest == tag.cuda else newest,
        distribution_end_of_life=on.end_of_life,
        source=table.sources[row.source],
    )
