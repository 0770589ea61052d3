"""Names for indexes that files only have addresses of, and the packages bound to them."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from envbuild.discovery.content import FileContent
from envbuild.spec import rules
from envbuild.spec.foreign.pins import plain_index
from envbuild.spec.problems import RefusedError

_COMMON = frozenset({"simple", "whl", "pypi", "index", "repository", ""})


def index_name_of(address: str) -> str:
    """Return a name for an index: the last telling part of its address, such as ``cu126``."""
    parts = urlsplit(address)
    candidates = [part for part in reversed(parts.path.split("/")) if part.lower() not in _COMMON]
    host = (parts.hostname or "index").split(".")
    candidates.append(host[-2] if len(host) > 1 else host[0])
    usable = re.sub(r"[^a-z0-9]+", "-", candidates[0].lower()).strip("-")
    return usable if usable and usable != rules.DEFAULT_INDEX else "own"


def bind_indexes(
    content: FileContent, indexes: Mapping[str, str], where: str, known: Mapping[str, str] | None = None
) -> bool:
    """Bind packages to the indexes they come from, given by address; return whether all could be.

    ``known`` are the indexes that other files named already.
    """
    names = dict(known or {})
    problems = len(content.left)
    for package, address in sorted(indexes.items()):
        try:
            url = rules.index_url(plain_index(address))
        except RefusedError as error:
            content.left.append(error.at(where))
            continue
        name = _free_name(index_name_of(url), url, names)
        names[name] = url
        pip = content.tables.setdefault("pip", {})
        pip.setdefault("indexes", {})[name] = url
        pip.setdefault("sources", {})[package] = name
    return len(content.left) == problems


def _free_name(name: str, url: str, names: Mapping[str, str]) -> str:
    """Return a name that no other index has."""
    candidates = (name, *(f"{name}-{number}" for number in range(2, len(names) + 3)))
    return next(candidate for candidate in candidates if names.get(candidate, url) == url)
