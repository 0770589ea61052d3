"""Where a command says its packages come from: bindings of the spec, or a report of what to write."""

import re
from collections.abc import Collection, Sequence

from envbuild.discovery.commands.requirement_words import LISTED, PYTORCH, local_version_of, name_of
from envbuild.discovery.content import FileContent
from envbuild.discovery.index_names import index_name_of
from envbuild.spec import rules
from envbuild.spec.direct_references import without_credentials
from envbuild.spec.problems import RefusedError
from envbuild.spec.source_options import SourceOptionReader

_TORCH = frozenset({"torch", "torchvision", "torchaudio", "torchtext"})
"""What only PyTorch's own index and page have."""


def bind(
    content: FileContent,
    address: str,
    requirements: Collection[str],
    where: str,
    *,
    is_page: bool = False,
    option: str = "--extra-index-url",
) -> None:
    """Bind those of ``requirements`` to ``address`` that only such places hold; report it if there are none.

    ``is_page`` is for a page of links (``--find-links``).
    """
    table, known = ("find-links", LISTED) if is_page else ("indexes", PYTORCH)
    try:
        url = rules.page_url(address) if is_page else rules.index_url(address)
    except RefusedError as error:
        content.leave(where, f"the address of `{option}` {error.message}", error.hint)
        return
    if SourceOptionReader().refusal("-i", address, ()) is None:
        return  # the index that everybody asks
    is_pytorchs = "pytorch" in url
    packages = [name for name in map(name_of, requirements) if name in known]
    packages += [
        name_of(text) for text in requirements if local_version_of(text) and name_of(text) not in packages
    ]
    elsewhere = _TORCH if is_page and not is_pytorchs else frozenset[str]()
    if is_pytorchs and not is_page:
        elsewhere = LISTED - PYTORCH
    packages = [name for name in packages if name not in elsewhere]
    if is_page and "jax" in map(name_of, requirements) and "jaxlib" not in packages:
        packages.append("jaxlib")  # what jax requires, and such a page holds
    name = _free_name(content, table, index_name_of(re.sub(r"\.html?$", "", url)), url)
    if not packages:
        hint = f'write `{name} = "{url}"` in [pip.{table}], and `PACKAGE = "{name}"` in [pip.sources]'
        content.leave(where, f"which packages come from `{without_credentials(url)}` is not said", hint)
        return
    pip = content.tables.setdefault("pip", {})
    sources = pip.setdefault("sources", {})
    if any(sources.get(package, name) == name for package in packages):
        pip.setdefault(table, {})[name] = url
    for package in packages:
        if sources.setdefault(package, name) != name:
            content.leave(
                where,
                f"`{package}` comes from `{sources[package]}` already",
                f'write `{package} = "{name}"` in [pip.sources] if this one is right',
            )


def report_unbound(content: FileContent, requirements: Sequence[str], where: str) -> None:
    """Report requirements that pin a local version, which the usual index does not have."""
    sources = content.tables.get("pip", {}).get("sources", {})
    for text in requirements:
        local, name = local_version_of(text), name_of(text)
        if local and name not in sources:
            content.leave(
                where,
                f"`{text}` is a build that only an index of its own has",
                f'name that index in [pip.indexes], and `{name} = "NAME"` in [pip.sources]',
            )


def _free_name(content: FileContent, table: str, name: str, url: str) -> str:
    known = content.tables.get("pip", {})
    used = {**known.get("indexes", {}), **known.get("find-links", {})}
    if used.get(name, url) == url and name not in known.get(_other(table), {}):
        return name
    number = next(number for number in range(2, len(used) + 3) if used.get(f"{name}-{number}", url) == url)
    return f"{name}-{number}"


def _other(table: str) -> str:
    return "indexes" if table == "find-links" else "find-links"
