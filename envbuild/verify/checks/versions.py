"""Names and versions of Python distributions in their one normal spelling."""

import re

# The grammar of PEP 440's appendix B, its parts apart so that each can be normalised.
_VERSION = re.compile(
    r"""v?
    (?:(?P<epoch>\d+)!)?
    (?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>alpha|beta|preview|pre|a|b|c|rc)[-_.]?(?P<pre_number>\d*))?
    (?P<post>-(?P<implicit_post>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?
    """,
    re.VERBOSE,
)
_PHASES = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


def normalize_name(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def normalize_version(version: str) -> str:
    """Return a version as PEP 440 spells it; what is none comes back stripped and in lower case.

    Metadata may say ``2024.02.06`` where the lock has ``2024.2.6``.  Trailing zeros stay, as in the lock.
    """
    text = version.strip().lower()
    match = _VERSION.fullmatch(text)
    if match is None:
        return text
    result = f"{int(match['epoch'])}!" if match["epoch"] and int(match["epoch"]) else ""
    result += ".".join(str(int(part)) for part in match["release"].split("."))
    if match["pre"]:
        result += _PHASES.get(match["pre"], match["pre"]) + str(int(match["pre_number"] or 0))
    if match["post"]:
        result += f".post{int(match['implicit_post'] or match['post_number'] or 0)}"
    if match["dev"]:
        result += f".dev{int(match['dev_number'] or 0)}"
    if match["local"]:
        parts = re.split(r"[-_.]", match["local"])
        result += "+" + ".".join(str(int(part)) if part.isdigit() else part for part in parts)
    return result
