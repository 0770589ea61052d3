"""Commands and options of uv, pixi, cog and docker: the hint where one of them is typed."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


def hint_for_command(name: str) -> str | None:
    """Return what to type in place of a command that other tools have, None where nothing is known of it."""
    return next((row["hint"] for row in rows()["commands"] if name in row["names"]), None)


def hint_for_option(command: str, option: str) -> str | None:
    """Return what to type in place of an option that other tools have, None where nothing is known of it."""
    found = [row for row in rows()["options"] if option in row["names"]]
    # a row without commands is of all of them
    for row in (*(row for row in found if "of" in row), *(row for row in found if "of" not in row)):
        if command in row.get("of", [command]):
            return str(row["hint"])
    return None


@cache
def rows() -> dict[str, list[dict[str, Any]]]:
    """Return what is known: `commands` with `names` and `hint`; `options` with `of`, their commands, too."""
    return tomllib.loads(files("envbuild.cli").joinpath("other_tools.toml").read_text("utf-8"))
