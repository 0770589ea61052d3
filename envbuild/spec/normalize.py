"""From a spec and the files it names to the request: what is asked, in its one form.

Order, comments, white space, line ends and spelling of names are gone from a request, so two specs that ask
for the same give equal requests.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from envbuild.catalog.bases import default_image, mirrored
from envbuild.errors import Problem, SpecError
from envbuild.spec.conda_request import CondaSources
from envbuild.spec.files import read_text
from envbuild.spec.load import SpecReading, refuse
from envbuild.spec.model import Spec
from envbuild.spec.pip_files import PipFiles
from envbuild.spec.problems import RefusedError, field_path
from envbuild.spec.request import (
    BaseRequest,
    CondaRequest,
    DataKind,
    DataRequest,
    ExperimentsRequest,
    GpuRequest,
    ImageRequest,
    PipRequest,
    Request,
    SystemRequest,
    VariantRequest,
)
from envbuild.spec.requirement_files import Collected
from envbuild.spec.rules import DEFAULT_INDEX, system_package
from envbuild.spec.tables.data import SOURCES, DataTable
from envbuild.spec.variants import each_variant, written_at

ReadText = Callable[[Path, str], str]


def request_from(reading: SpecReading, *, texts: Mapping[Path, str] | None = None) -> Request:
    """Return what a spec that was read asks for; the files it names are read now.

    ``texts`` count in place of what is in those files.

    :raises SpecError: with everything that is wrong in all of them.
    """
    request, problems = _normalize(reading.spec, reading.path.parent, reading.prefix, texts or {})
    refuse(reading.path, (*reading.problems, *problems))
    return request


def normalize(spec: Spec, folder: Path) -> Request:
    """Return what a checked spec asks for; the files it names are read from ``folder``.

    :raises SpecError: with everything that is wrong in those files.
    """
    request, problems = _normalize(spec, folder, "", {})
    if problems:
        raise SpecError("the files the spec names have problems", problems=problems)
    return request


def _normalize(
    spec: Spec, folder: Path, prefix: str, texts: Mapping[Path, str]
) -> tuple[Request, tuple[Problem, ...]]:
    problems: dict[Problem, None] = {}  # a set in order: variants share most of their files

    @cache
    def read(path: Path, shown: str) -> str:
        return texts[path] if path in texts else read_text(path, shown=shown, inside=folder)

    variants = {}
    for variant, asked in each_variant(spec):
        sources = _Sources(spec=spec, variant=variant, folder=folder, prefix=prefix, read=read)
        variants[variant] = _variant(asked, sources)
        problems.update(dict.fromkeys(sources.problems))
    request = Request(
        name=spec.name,
        repository=spec.image.repository,
        platforms=tuple(sorted(set(spec.platforms))),
        default_variant=spec.default_variant,
        variants=variants,
        data={table.name: _data(table) for table in sorted(spec.data, key=lambda table: table.name)},
    )
    return request, tuple(problems)


def _variant(asked: Spec, sources: "_Sources") -> VariantRequest:
    bound = {package: index for package, index in asked.pip.sources.items() if index != DEFAULT_INDEX}
    collected = sources.python(asked)
    conda, variables = None, dict[str, str]()
    if found := sources.conda(asked):
        conda, of_files = found
        collected.requirements.update(of_files.pip)
        variables = of_files.variables
    return VariantRequest(
        python=asked.python,
        snapshot=asked.snapshot,
        base=_base(asked),
        pip=PipRequest(
            resolver=asked.pip.resolver,
            requirements=tuple(sorted(collected.requirements)),
            constraints=tuple(sorted(collected.constraints)),
            indexes={
                index: url for index, url in sorted(asked.pip.indexes.items()) if index in bound.values()
            },
            sources=dict(sorted(bound.items())),
            find_links={
                page: url for page, url in sorted(asked.pip.find_links.items()) if page in bound.values()
            },
            build=asked.pip.build if asked.pip.build == "all" else tuple(sorted(set(asked.pip.build))),
            wheels_only=asked.pip.wheels_only or None,
            build_packages=tuple(sorted(set(asked.pip.build_packages))),
            build_constraints=tuple(sorted(set(asked.pip.build_constraints))),
        ),
        system=SystemRequest(packages=tuple(sorted(sources.system(asked)))),
        gpu=_gpu(asked),
        conda=conda,
        image=ImageRequest(
            env=dict(sorted((variables | asked.image.env).items())),
            prepend=dict(sorted(asked.image.prepend.items())),
            user=asked.image.user,
            workdir=asked.image.workdir,
            command=asked.image.command,
        ),
        seed=asked.determinism.seed,
        experiments=_experiments(asked),
    )


def _base(asked: Spec) -> BaseRequest:
    if asked.base:
        return BaseRequest(image=asked.base.image, packages=asked.base.packages)
    if asked.gpu and asked.gpu.image != "slim":
        return BaseRequest()
    registry = asked.gpu.registry if asked.gpu else None
    return BaseRequest(image=mirrored(default_image(asked.python), registry))


def _gpu(asked: Spec) -> GpuRequest | None:
    if asked.gpu is None:
        return None
    return GpuRequest(
        vendor=asked.gpu.vendor,
        cuda=asked.gpu.cuda,
        targets=tuple(sorted(set(asked.gpu.targets))),
        driver=asked.gpu.driver,
        image=asked.gpu.image,
        registry=asked.gpu.registry,
    )


def _experiments(asked: Spec) -> ExperimentsRequest | None:
    """Return what is asked beyond recording the environment, which is done anyway; None: nothing."""
    if asked.experiments is None:
        return None
    wanted = ExperimentsRequest(
        record=None if asked.experiments.record else False,
        runtime=asked.experiments.installs_runtime or None,
    )
    return None if wanted == ExperimentsRequest() else wanted


def _data(table: DataTable) -> DataRequest:
    kind: DataKind = "files"
    source = None
    for key in SOURCES:
        if getattr(table, key) is not None:
            kind, source = key, getattr(table, key)
    return DataRequest(
        kind=kind,
        path=table.path or f"data/{table.name}",
        target=table.target or f"/data/{table.name}",
        version=table.version,
        license=table.license,
        source=source,
        sha256=table.sha256,
        repository_type=(table.type or "dataset") if kind == "huggingface" else None,
        revision=(table.revision or "main") if kind == "huggingface" else None,
        files=tuple(sorted(set(table.files))),
    )


class _Sources:
    """The files one variant names, and what is wrong with them."""

    def __init__(self, *, spec: Spec, variant: str, folder: Path, prefix: str, read: ReadText) -> None:
        self.problems: list[Problem] = []
        self._spec, self._variant, self._prefix = spec, variant, prefix
        self._folder, self._read = folder, read

    def python(self, asked: Spec) -> Collected:
        """Return the requirements and constraints of [pip], wherever they are written."""
        collected = PipFiles(asked, self._folder, self._read, self._where).collect()
        self.problems.extend(collected.problems)
        return collected

    def system(self, asked: Spec) -> set[str]:
        """Return the packages of [system], wherever they are written."""
        packages = set(asked.system.packages)
        for file, where in self._items(asked.system.files, "system", "files"):
            try:
                text = self._read(self._folder / file, file)
            except RefusedError as error:
                self.problems.append(error.at(where))
                continue
            for number, line in enumerate(text.splitlines(), start=1):
                for word in line.partition("#")[0].split():
                    try:
                        packages.add(system_package(word))
                    except RefusedError as error:
                        self.problems.append(error.at(f"{file}:{number}"))
        return packages

    def conda(self, asked: Spec) -> "tuple[CondaRequest, CondaSources] | None":
        """Return what [conda] and its files ask for, of conda and of others; None without one."""
        if asked.conda is None:
            return None
        found = CondaSources(asked, problems=self.problems)
        for file, where in self._items(asked.conda.files, "conda", "files"):
            try:
                text = self._read(self._folder / file, file)
            except RefusedError as error:
                self.problems.append(error.at(where))
                continue
            found.add_file(text, file)
        request = found.finish(
            packages=self._where("conda", "packages"), channels=self._where("conda", "channels")
        )
        return request, found

    def _items(self, items: Iterable[str], *path: str) -> Iterator[tuple[str, str]]:
        for index, item in enumerate(items):
            yield item, self._where(*path, index=index)

    def _where(self, *path: str, index: int | None = None) -> str:
        return self._prefix + field_path(written_at(self._spec, self._variant, *path, index=index))
