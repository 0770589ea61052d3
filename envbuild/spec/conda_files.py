"""Files of conda: an environment.yml as conda reads it, and a conda-lock.yml to take over.

What such a file says and envbuild cannot honour is refused by name, never passed over.  Formats: conda
documentation, "Creating an environment file manually"; conda-lock's schema of format version 1.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from envbuild.errors import Problem
from envbuild.spec import conda_rules
from envbuild.spec.problems import RefusedError, near
from envbuild.spec.requirements import normalized_requirement
from envbuild.spec.rules import variable

_ENVIRONMENT_KEYS = ("name", "channels", "dependencies", "variables", "prefix")
_SELECTOR = re.compile(r"#\s*\[[^\]]*\]\s*$")
_SUBDIRS = ("linux-64", "linux-aarch64", "noarch")
_TAKEN_CATEGORIES = ("main", "dev")
"""What `conda-lock install` installs when it is told nothing else."""


@dataclass(slots=True)
class CondaFileContent:
    """What one file asks for."""

    channels: list[str] = field(default_factory=list)
    packages: list[conda_rules.MatchSpec] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    pins: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def note(self, where: str, error: RefusedError) -> None:
        """Note what is wrong at ``where``."""
        self.problems.append(error.at(where))


def read_conda_file(text: str, file: str, *, subdirs: Sequence[str]) -> CondaFileContent:
    """Return what ``file`` with this ``text`` asks for; ``subdirs`` are those of the spec's platforms."""
    # a fifth of all start-up time, for those who have such files
    import yaml  # noqa: PLC0415

    content = CondaFileContent()
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else file
        content.problems.append(Problem(place, "is not YAML"))
        return content
    if not isinstance(document, dict):
        content.problems.append(Problem(file, "is neither an environment.yml nor a conda-lock.yml"))
    elif "package" in document and "metadata" in document:
        _lock(document, file, subdirs, content)
    else:
        _refuse_selectors(text, file, content)
        _environment(document, file, content)
    return content


# --- environment.yml ----------------------------------------------------------------------------


def _refuse_selectors(text: str, file: str, content: CondaFileContent) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if _SELECTOR.search(line):
            content.problems.append(
                Problem(
                    f"{file}:{number}",
                    "has a platform selector, which conda itself reads as a comment",
                    "leave it out; what differs between platforms cannot be said in such a file",
                )
            )


def _environment(document: Mapping[str, Any], file: str, content: CondaFileContent) -> None:
    for key in document:
        if key not in _ENVIRONMENT_KEYS:
            hint = near(str(key), _ENVIRONMENT_KEYS) or f"it knows: {', '.join(_ENVIRONMENT_KEYS)}"
            content.problems.append(Problem(f"{file}: {key}", "cannot be honoured", hint))
    for index, name in enumerate(_list(document, "channels", file, content)):
        if name == "nodefaults":
            continue  # what envbuild always does
        try:
            content.channels.append(conda_rules.channel(str(name)))
        except RefusedError as error:
            content.note(f"{file}: channels[{index}]", error)
    for index, entry in enumerate(_list(document, "dependencies", file, content)):
        where = f"{file}: dependencies[{index}]"
        if isinstance(entry, dict):
            _sections(entry, where, content)
        elif isinstance(entry, str):
            _collect(content, where, content.packages, conda_rules.parse_match_spec, entry)
        else:
            content.problems.append(Problem(where, "is not a package"))
    _variables(document, file, content)


def _variables(document: Mapping[str, Any], file: str, content: CondaFileContent) -> None:
    variables = document.get("variables") or {}
    if not isinstance(variables, dict):
        content.problems.append(Problem(f"{file}: variables", "must be a table"))
        return
    for name, value in variables.items():
        try:
            content.variables[variable(str(name))] = _plain(value)
        except RefusedError as error:
            content.note(f"{file}: variables.{name}", error)


def _sections(entry: Mapping[str, Any], where: str, content: CondaFileContent) -> None:
    for manager, items in entry.items():
        if manager != "pip":
            content.problems.append(
                Problem(f"{where}.{manager}", "cannot be honoured", "only `pip` is known")
            )
            continue
        for index, item in enumerate(items or ()):
            place = f"{where}.pip[{index}]"
            if str(item).startswith("-"):
                hint = "name requirements files in [pip] requirements, indexes in [pip] indexes"
                option = str(item).split()[0]
                content.problems.append(
                    Problem(place, f"`{option}` is not taken from an environment.yml", hint)
                )
                continue
            _collect(content, place, content.pip, normalized_requirement, str(item))


def _collect(content: CondaFileContent, where: str, into: list[Any], parse: Any, text: str) -> None:
    try:
        into.append(parse(text))
    except RefusedError as error:
        content.note(where, error)


def _list(document: Mapping[str, Any], key: str, file: str, content: CondaFileContent) -> list[Any]:
    value = document.get(key) or []
    if isinstance(value, list):
        return value
    content.problems.append(Problem(f"{file}: {key}", "must be a list"))
    return []


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or "\n" in str(value):
        raise RefusedError("must be text on one line", hint="quote it")
    return str(value)


# --- conda-lock.yml -----------------------------------------------------------------------------


def _lock(document: Mapping[str, Any], file: str, subdirs: Sequence[str], content: CondaFileContent) -> None:
    if document.get("version") != 1:
        content.problems.append(Problem(f"{file}: version", "only format version 1 is known"))
        return
    for index, entry in enumerate(document["metadata"].get("channels") or ()):
        url = entry.get("url") if isinstance(entry, dict) else entry
        try:
            content.channels.append(conda_rules.channel(_without_secrets(str(url))))
        except RefusedError as error:
            content.note(f"{file}: metadata.channels[{index}]", error)
    pip: dict[str, set[str]] = {}
    for index, entry in enumerate(document["package"] or ()):
        where = f"{file}: package[{index}]"
        try:
            _take(entry, subdirs, content, pip)
        except RefusedError as error:
            content.note(where, error)
        except (KeyError, TypeError, AttributeError):
            content.problems.append(Problem(where, "is not an entry of a conda-lock.yml"))
    held = {pin.split(" ")[0] for pin in content.pins}
    content.problems += [
        Problem(file, f"has no packages for {subdir}", "lock it for all platforms of the spec")
        for subdir in subdirs
        if subdir not in held
    ]
    content.pip = list(_with_markers(pip, held))


def _take(
    entry: Mapping[str, Any], subdirs: Sequence[str], content: CondaFileContent, pip: dict[str, set[str]]
) -> None:
    platform = entry["platform"]
    if platform not in subdirs or entry.get("category", "main") not in _TAKEN_CATEGORIES:
        return
    if entry["manager"] == "pip":
        if entry.get("source"):
            raise RefusedError(f"`{entry['name']}` comes from an address of its own")
        pip.setdefault(normalized_requirement(f"{entry['name']}=={entry['version']}"), set()).add(platform)
        return
    url = _without_secrets(str(entry["url"]))
    base, file = posixpath.split(url)
    root, subdir = posixpath.split(base)
    if subdir not in {platform, "noarch"}:
        raise RefusedError(f"`{file}` is for {subdir}, not for {platform}")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*\.(conda|tar\.bz2)", file):
        raise RefusedError("its address names no conda package")
    digest = entry["hash"].get("sha256")
    known = f"sha256:{digest}" if digest else f"md5:{entry['hash']['md5']}"
    if not re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", known):
        raise RefusedError("its hash is none")
    content.pins.append(f"{platform} {channel_of(root, content.channels)} {subdir}/{file}#{known}")


def channel_of(address: str, channels: Sequence[str]) -> str:
    """Return which of ``channels`` lies at ``address``: itself, or one whose name ends it; else the address.

    When there is only one channel its address may be anything: a mirror's.
    """
    path = urlsplit(address).path
    for name in channels:
        if address == name or ("://" not in name and path.endswith(f"/{name}")):
            return name
    if len(channels) == 1:
        return channels[0]
    return conda_rules.channel(address)


def _with_markers(pip: Mapping[str, set[str]], held: set[str]) -> Iterator[str]:
    machines = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}
    for requirement, platforms in pip.items():
        if platforms == held:
            yield requirement
        else:
            condition = " or ".join(f'platform_machine == "{machines[name]}"' for name in sorted(platforms))
            yield normalized_requirement(f"{requirement} ; {condition}")


def _without_secrets(url: str) -> str:
    """Return an address without user, password and token, or the variables that stand for them."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    path = re.sub(r"/t/[^/]+(?=/)", "", parts.path, count=1)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))
