"""The Jinja2 environment: strict about names, explicit about quoting.  Templates only lay out."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ESCAPED = {"\\": "\\\\", '"': '\\"', "$": "\\$"}


@cache
def template_folder() -> Path:
    """Return the folder of the templates: inside the installed package, else the checkout's own.

    A wheel carries ``templates/`` as ``envbuild/templates``; an editable install finds it at the top level.

    :raises FileNotFoundError: neither is there, so the installation is broken.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "Dockerfile.j2").is_file():
            return folder
    raise FileNotFoundError(f"no templates beside {package}")


def render_template(name: str, values: Mapping[str, object]) -> str:
    """Return the template ``name`` filled with ``values``; a name that is not given is an error."""
    return _environment().get_template(name).render(values)


def quote_dockerfile(value: str) -> str:
    """Return ``value`` as a double-quoted Dockerfile word that expands to exactly itself.

    Source: Dockerfile reference, "Environment replacement" and "Escape".
    """
    if "\n" in value:
        raise ValueError("a Dockerfile word cannot hold a line break")
    return '"' + "".join(_ESCAPED.get(character, character) for character in value) + '"'


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(template_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is a Dockerfile, quoted by the filters
    )
    environment.filters["quote"] = quote_dockerfile
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment
