"""What several keys of a spec must agree on, in every variant."""

from collections.abc import Iterator

from envbuild.catalog.bases import DISTRIBUTIONS, minor_of
from envbuild.errors import Problem
from envbuild.spec.model import Spec
from envbuild.spec.problems import field_path, near
from envbuild.spec.rules import DEFAULT_INDEX
from envbuild.spec.validation import Validated
from envbuild.spec.variants import each_variant, written_at


def contradictions(validated: Validated, *, prefix: str = "") -> tuple[Problem, ...]:
    """Return what does not fit together; keys that are wrong by themselves are left out of account."""
    spec = validated.spec
    found: dict[Problem, None] = {}
    for variant, asked in each_variant(spec):
        if validated.trusts("pip", "indexes") and validated.trusts("pip", "find-links"):
            found.update(dict.fromkeys(_undeclared_indexes(spec, variant, asked, prefix)))
        if validated.trusts("base") and validated.trusts("python"):
            found.update(dict.fromkeys(_missing_python(spec, variant, asked, prefix)))
        if validated.trusts("gpu"):
            found.update(dict.fromkeys(_idle_gpu_keys(spec, variant, asked, prefix)))
        if validated.trusts("system", "packages"):
            found.update(dict.fromkeys(_two_versions(spec, variant, asked, prefix)))
    if validated.trusts("pip"):
        found.update(dict.fromkeys(_unused_indexes(spec, prefix)))
    if validated.trusts("data"):
        found.update(dict.fromkeys(_data_collisions(spec, prefix)))
    return tuple(found)


def _data_collisions(spec: Spec, prefix: str) -> Iterator[Problem]:
    """Yield data that has a name twice, or that one mount would hide from another."""
    names: set[str] = set()
    targets: dict[str, str] = {}
    for index, table in enumerate(spec.data):
        if table.name in names:
            yield Problem(prefix + field_path(("data", index, "name")), f"`{table.name}` is there twice")
            continue
        names.add(table.name)
        target = table.target or f"/data/{table.name}"
        for other, owner in targets.items():
            if f"{target}/".startswith(f"{other}/") or f"{other}/".startswith(f"{target}/"):
                yield Problem(
                    prefix + field_path(("data", index, "target")),
                    f"`{target}` and `{other}`, where `{owner}` is mounted, lie in each other",
                    "choose folders beside each other",
                )
        targets[target] = table.name


def _undeclared_indexes(spec: Spec, variant: str, asked: Spec, prefix: str) -> Iterator[Problem]:
    pip = asked.pip
    for package, index in sorted(pip.sources.items()):
        if index != DEFAULT_INDEX and index not in {*pip.indexes, *pip.find_links}:
            yield Problem(
                prefix + field_path(written_at(spec, variant, "pip", "sources", package)),
                f"there is no index `{index}`",
                near(index, {*pip.indexes, *pip.find_links})
                or "declare it in [pip] indexes: a name and its simple address",
            )
    for name in sorted(pip.indexes.keys() & pip.find_links.keys()):
        yield Problem(
            prefix + field_path(written_at(spec, variant, "pip", "find-links", name)),
            f"`{name}` is an index already",
            "call the page otherwise",
        )


def _unused_indexes(spec: Spec, prefix: str) -> Iterator[Problem]:
    """Yield indexes and pages no package is bound to: they are never asked, which nobody expects."""
    declared: dict[tuple[str, str], str] = {}
    used: set[str] = set()
    for variant, asked in each_variant(spec):
        used.update(asked.pip.sources.values())
        for table, names in (("indexes", asked.pip.indexes), ("find-links", asked.pip.find_links)):
            for name in names:
                where = field_path(written_at(spec, variant, "pip", table, name))
                declared.setdefault((name, table), where)
    for (name, table), where in sorted(declared.items()):
        if name not in used:
            yield Problem(
                prefix + where,
                f"no package comes from this {'index' if table == 'indexes' else 'page'}",
                f'bind packages to it, one by one: sources = {{ name = "{name}" }}; all others come from '
                "the client's own index",
            )


def _missing_python(spec: Spec, variant: str, asked: Spec, prefix: str) -> Iterator[Problem]:
    if asked.base is None or asked.base.packages is None or asked.conda is not None:
        return  # with [conda] Python is conda's, and the base may have any
    shipped = DISTRIBUTIONS[asked.base.packages]
    if minor_of(asked.python) != shipped:
        other = next(
            (name for name, python in DISTRIBUTIONS.items() if python == minor_of(asked.python)), None
        )
        yield Problem(
            prefix + field_path(written_at(spec, variant, "base", "packages")),
            f"{asked.base.packages} has Python {shipped}, not {asked.python}",
            f'python = "{shipped}", ' + (f'packages = "{other}", ' if other else "") + "or a base image",
        )


def _two_versions(spec: Spec, variant: str, asked: Spec, prefix: str) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for index, package in enumerate(asked.system.packages):
        name, pinned, version = package.partition("=")
        if pinned and seen.setdefault(name, version) != version:
            where = written_at(spec, variant, "system", "packages", index=index)
            yield Problem(prefix + field_path(where), f"`{name}` is already wanted as {seen[name]}")


def _idle_gpu_keys(spec: Spec, variant: str, asked: Spec, prefix: str) -> Iterator[Problem]:
    """Yield keys of [gpu] that another key leaves no say."""

    def at(key: str, message: str, hint: str) -> Problem:
        return Problem(prefix + field_path(written_at(spec, variant, "gpu", key)), message, hint)

    if asked.gpu is None:
        return
    if asked.base is not None and asked.gpu.image != "auto":
        yield at("image", "[base] is there, so this chooses nothing", "leave one of the two out")
    if asked.base is not None and asked.gpu.registry is not None:
        yield at("registry", "[base] is there, so nothing comes from it", "leave one of the two out")
    if asked.gpu.vendor == "amd" and asked.gpu.cuda != "auto":
        yield at("cuda", "AMD's GPUs run no CUDA", "leave it out; the wheels' ROCm decides")
