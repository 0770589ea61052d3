"""Lists that conda writes of an environment: ``conda list --explicit`` and ``conda list --export``."""

import re
from collections.abc import Callable
from typing import Final

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.conda import take_conda_python, take_match_spec
from envbuild.discovery.commands.pip import read_pip
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.discovery.content import FileContent, Taken
from envbuild.files.sizes import counted
from envbuild.spec import conda_rules
from envbuild.spec.problems import RefusedError

LISTS: Final = (
    "conda-linux-64.lock", "explicit*.txt", "spec-file*.txt", "spec-list*.txt", "conda-spec*.txt",
    "*explicit*.txt", "*linux-64*.lock", "conda*requirements*.txt", "package-list*.txt",
)  # fmt: skip
"""Where lists that conda made lie."""

LONGEST: Final = 2_000_000
"""Characters of a list that is read."""

_LINUX: Final = "linux-64"
OTHER_SYSTEMS: Final = re.compile(
    r"vc|vc14_runtime|vs20[0-9]{2}_.*|ucrt|pywin32|pywin32-on-windows|pywinpty|winpty|wincertstore"
    r"|win_inet_pton|win_unicode_console|m2w64-.*|msys2-.*|icc_rt|console_shortcut|menuinst|appnope"
    r"|libcxx|pyobjc-.*|python\.app|libgfortran5-osx|cctools_osx-.*|ld64_osx-.*|clang_osx-.*|comtypes"
)
"""Packages that conda has for Windows or macOS alone, as an export on such a machine lists them."""

RUNTIME: Final = re.compile(
    r"_.*_mutex|ld_impl_.*|lib(?:gcc|stdcxx|gfortran)(?:-ng|[0-9])?|libgomp|ca-certificates|certifi|openssl|blas"
    r"|intel-openmp|mkl.*|tbb|ncurses|readline|tk|xz|zlib|sqlite|libffi|libuuid|bzip2|expat"
)
"""Packages that only others ask for, and whose versions in ``defaults`` differ from those elsewhere."""

_EXPLICIT: Final = re.compile(
    r"(?P<root>https?://\S+?)/(?P<subdir>[a-z]+-(?:64|32|aarch64|arm64|ppc64le|s390x)|noarch)/"
    r"(?P<name>[A-Za-z0-9_.-]+)-(?P<version>[A-Za-z0-9_.!+]+)-(?P<build>[A-Za-z0-9_.+]+)"
    r"\.(?:conda|tar\.bz2)(?:#.*)?"
)
_EXPORTED: Final = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)=(?P<version>[^=\s]+)=(?P<build>[^=\s]+)")
_OF_PYPI: Final = re.compile(r"pypi_[0-9]+|<pip>|pypi")


def is_conda_list(text: str) -> bool:
    """Return whether conda wrote a list of packages: ``@EXPLICIT``, or ``name=version=build``."""
    lines = [line.strip() for line in text[:20_000].splitlines()]
    said = [line for line in lines if line and not line.startswith("#")]
    return "@EXPLICIT" in said or bool(said and all(_EXPORTED.fullmatch(line) for line in said[:-1] or said))


def read_conda_list(text: str, file: str, *, exists: Callable[[str], bool]) -> FileContent:
    """Return what a list of packages gives that conda wrote; versions are kept exactly."""
    content = FileContent()
    state = BuildState(content, file, exists)
    if len(text) > LONGEST:
        content.leave(file, f"is longer than {LONGEST} characters", "it is not read")
        return content
    exported: list[str] = []
    left_out: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if not said or said.startswith("#") or said == "@EXPLICIT":
            continue
        if match := _EXPLICIT.fullmatch(said):
            _explicit(match, number, state)
        elif match := _EXPORTED.fullmatch(said):
            _exported(match, number, state, exported, left_out)
        else:
            content.leave(state.place(number), "is no package of such a list", "it is not taken")
    if exported:
        message = f"builds of {counted(len(exported), 'package')} are not kept: their channel is not said"
        content.leave(file, message, "versions are kept; `conda list --explicit` says channels too")
    if left_out:
        message = f"left out, for only other packages ask for them: {', '.join(left_out)}"
        content.leave(file, message, "each channel has others of its own")
    if content.tables.get("conda") and not content.tables["conda"].get("channels"):
        content.add("conda", "channels", ["conda-forge"])
    _note_counts(content, file)
    return content


def _explicit(match: re.Match[str], line: int, state: BuildState) -> None:
    """Take one package of an explicit list: its version and build, and its channel."""
    where = state.place(line)
    if match["subdir"] not in {_LINUX, "noarch"}:
        hint = "make the list on Linux: `conda list --explicit`"
        state.content.leave(where, f"`{match['name']}` is for {match['subdir']}", hint)
        return
    try:
        channel = channel_of_address(match["root"])
        package = conda_rules.MatchSpec(
            conda_rules.package_name(match["name"]), f"=={match['version']}", match["build"]
        )
    except RefusedError as error:
        state.content.left.append(error.at(where))
        return
    if package.name == "python":
        take_conda_python(f"={'.'.join(match['version'].split('.')[:2])}", where, state)
    state.content.add("conda", "channels", [channel])
    if package.name != "pip":
        state.content.add("conda", "packages", [str(package)])


def _exported(
    match: re.Match[str], line: int, state: BuildState, exported: list[str], left_out: list[str]
) -> None:
    where = state.place(line)
    if OTHER_SYSTEMS.fullmatch(match["name"]):
        state.content.leave(where, f"`{match['name']}` is not for Linux", "it is left out")
    elif _OF_PYPI.fullmatch(match["build"]):
        read_pip(_pip_words(f"{match['name']}=={match['version']}", line), state)
    elif RUNTIME.fullmatch(match["name"]):
        left_out.append(match["name"])
    else:
        exported.append(match["name"])
        take_match_spec(f"{match['name']} =={match['version']}", state, line)


def channel_of_address(address: str) -> str:
    """Return the channel at an address: its name where the path is one, else the address itself.

    :raises RefusedError: it is none that every machine can reach.
    """
    _, _, rest = address.partition("://")
    _, _, path = rest.partition("/")
    plain = re.sub(r"^t/[^/]+/", "", path.strip("/"))
    return conda_rules.channel(plain if plain and "/" not in plain else address)


def _pip_words(requirement: str, line: int) -> tuple[ShellWord, ...]:
    return tuple(ShellWord(word, line) for word in ("pip", "install", requirement))


def _note_counts(content: FileContent, file: str) -> None:
    counts = [
        counted(len(items), noun)
        for table, noun in (("conda", "conda package"), ("pip", "requirement"))
        if (items := content.tables.get(table, {}).get("packages"))
    ]
    if counts:
        content.taken.append(Taken(file, ", ".join(counts)))
