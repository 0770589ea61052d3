"""What ``pip install`` and ``uv pip install`` ask for."""

import contextlib
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.indexes import bind, report_unbound
from envbuild.discovery.commands.options import Argument, read_arguments
from envbuild.discovery.commands.project import take_project
from envbuild.discovery.commands.requirement_words import (
    INSTALLERS,
    OTHER_INSTALLERS,
    name_of,
)
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirement_files import logical_lines
from envbuild.spec.requirements import normalized_requirement

LONGEST_FILE: Final = 500_000
"""Characters of a requirements file that are looked at for what an index is named for."""

_INDEX: Final = frozenset(
    {"-i", "--index-url", "--extra-index-url", "--index", "--default-index", "--pypi-url"}
)
_LINKS: Final = frozenset({"-f", "--find-links"})
_FILES: Final = frozenset({"-r", "--requirement", "--requirements"})
_CONSTRAINTS: Final = frozenset({"-c", "--constraint", "--constraints"})
_EDITABLE: Final = frozenset({"-e", "--editable"})
_VALUE_OF_NO_MATTER: Final = frozenset({
    "--timeout", "--default-timeout", "--retries", "--trusted-host", "--cache-dir", "--progress-bar", "--log",
    "--root-user-action", "--proxy", "--cert", "--python", "-p", "--index-strategy", "--link-mode",
    "--upgrade-strategy", "--src", "--keyring-provider", "--exists-action", "--only-binary", "--prefix",
    "--allow-insecure-host", "-w", "--wheel-dir", "-d", "--dest", "--upgrade-package", "-P", "--color",
    "--resume-retries", "--report", "--build", "-b", "--config-file",
})  # fmt: skip
_OF_NO_MATTER: Final = frozenset({
    "-U", "--upgrade", "--no-cache-dir", "--no-cache", "-q", "--quiet", "-v", "-vv", "-vvv", "--verbose",
    "-qq",
    "-qqq", "--user", "--system", "-I", "--ignore-installed", "--force-reinstall", "--reinstall",
    "--no-input",
    "--break-system-packages", "--no-warn-script-location", "--disable-pip-version-check", "--prefer-binary",
    "--require-hashes", "--compile", "--no-compile", "--compile-bytecode", "--no-warn-conflicts", "-y",
    "--no-python-version-warning", "--isolated", "--use-pep517", "--no-index", "--refresh", "--native-tls",
    "--no-progress", "--no-clean", "--use-deprecated", "--use-feature", "--strict", "--exact", "--no-build",
    "--no-color", "--debug", "--no-verify-hashes", "--check-build-dependencies",
})  # fmt: skip
_BUILD_HINT: Final = "name the packages in `build` of [pip]; options of their builds are a later feature"
_VALUE_REPORTED: Final = {
    "-t": "where packages lie is the image's to say; nothing is to be done if PYTHONPATH named it",
    "--target": "where packages lie is the image's to say; nothing is to be done if PYTHONPATH named it",
    "--no-binary": _BUILD_HINT,
    "--no-binary-package": _BUILD_HINT,
    "--config-settings": "options of builds are a later feature",
    "--config-setting": "options of builds are a later feature",
    "-C": "options of builds are a later feature",
    "--global-option": "options of builds are a later feature",
    "--install-option": "options of builds are a later feature",
    "--build-option": "options of builds are a later feature",
    "--torch-backend": "bind torch to the index of that build in [pip.sources]",
    "--exclude-newer": 'write the day as `snapshot = "YYYY-MM-DD"` at the top of the spec',
    "--platform": "platforms are said by `platforms` of the spec",
    "--python-version": "the Python is said by `python` of the spec",
    "--override": "what packages require is not overridden; bound it in [pip] constraints",
    "--resolution": "the newest versions that fit are taken; bound them in [pip] constraints",
    "--prerelease": "ask for the pre-release where it is wanted: `name>=2.0rc1`",
    "--group": "name the group in [pip] groups",
    "--extra": "name the extra in [pip] extras",
}
_REPORTED: Final = {
    "--no-deps": "what they require is installed too",
    "--no-dependencies": "what they require is installed too",
    "--pre": "ask for the pre-release where it is wanted: `name>=2.0rc1`",
    "--no-build-isolation": "name in `build` of [pip] what must be built; what builds see is a later feature",
    "--all-extras": "name the extras in [pip] extras",
}
_WITH_VALUE: Final = frozenset({
    *_INDEX, *_LINKS, *_FILES, *_CONSTRAINTS, *_EDITABLE, *_VALUE_OF_NO_MATTER, *_VALUE_REPORTED,
})  # fmt: skip
_NOTHING_TO_DO: Final = frozenset({
    "list", "freeze", "check", "show", "cache", "config", "help", "debug", "inspect", "index", "tree", "hash",
    "completion",
})  # fmt: skip
_ARCHIVE: Final = re.compile(r"\.(?:whl|tar\.gz|zip|tgz)$")


@dataclass(slots=True)
class _Install:
    """One command, being read."""

    state: BuildState
    line: int
    requirements: list[str] = field(default_factory=list)
    addresses: list[tuple[str, Argument]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    """Requirements of the files it names."""

    def leave(self, argument: Argument, message: str, hint: str | None) -> None:
        self.state.content.leave(self.state.place(argument.line), message, hint)


def read_pip(words: Sequence[ShellWord], state: BuildState, bounds: Sequence[str] = ()) -> str | None:
    """Take what a ``pip`` command asks for.  Returns why it cannot be taken, None where it was.

    ``bounds`` are requirements whose bound the shell takes for a redirection.
    """
    arguments = list(read_arguments(words[1:], _WITH_VALUE))
    plain = [position for position, argument in enumerate(arguments) if argument.option is None]
    action = arguments[plain[0]].text if plain else ""
    if not action or action in _NOTHING_TO_DO:
        return None
    if action == "uninstall":
        return "what a package requires cannot be taken out again"
    if action not in {"install", "sync", "wheel", "download"}:
        return f"`{action}` is not understood"
    install = _Install(state, words[0].line)
    del arguments[plain[0]]
    if action in {"wheel", "download"}:
        state.wheel_folders.add(state.absolute(_folder_of_wheels(arguments)))
    for argument in arguments:
        _argument(install, argument, are_files=action == "sync")
    _finish(install, bounds)
    return None


def take_requirement(text: str, state: BuildState, line: int) -> str | None:
    """Take one requirement; return it as it was taken."""
    try:
        requirement = normalized_requirement(text)
    except RefusedError as error:
        state.content.left.append(error.at(state.place(line)))
        return None
    name = name_of(requirement)
    if name in OTHER_INSTALLERS:
        message = f"`{name}` is not taken: envbuild installs packages itself"
        state.content.leave(state.place(line), message, f'`packages = ["{name}"]` in [pip] if people call it')
        return None
    if name in INSTALLERS and (name != "setuptools" or requirement == name):
        return None
    state.content.add("pip", "packages", [requirement])
    return requirement


def take_requirements_file(
    path: str, state: BuildState, line: int, *, constrains: bool = False
) -> str | None:
    """Take a file of requirements, or of constraints, that a command names; return it."""
    source = state.source_of(path)
    if source is None and posixpath.basename(path) in state.exported:
        return None  # a lock of the project in another form
    if source is None and (address := state.cloned_address(path)):
        hint = "keep a copy in the folder, and name it in [pip] requirements"
        state.content.leave(state.place(line), f"`{path}` is a file of {address}, which is cloned", hint)
    elif source is None:
        what = "address" if "://" in path else "file"
        hint = "keep it in the folder, and name it in [pip] requirements"
        state.content.leave(state.place(line), f"`{path}` is no {what} of the folder", hint)
    elif constrains:
        state.content.add("pip", "constraints", [source])
    elif source.endswith((".toml", ".py", ".cfg")):
        take_project(state, posixpath.dirname(path) or ".", line)
    elif source not in state.content.files:
        state.content.files.append(source)
    return source


def _argument(install: _Install, argument: Argument, *, are_files: bool) -> None:
    option, state = argument.option, install.state
    matters = option is None or option in {*_INDEX, *_LINKS, *_FILES, *_CONSTRAINTS, *_EDITABLE}
    if matters and argument.value and argument.value.unknown:
        install.leave(argument, f"`{argument.value.unknown}` has no value here", "write what it stands for")
    elif option in _INDEX or option in _LINKS:
        install.addresses.append((option or "", argument))
    elif option in _FILES or (option is None and are_files):
        if source := take_requirements_file(argument.text, state, argument.line):
            install.listed += listed_requirements(state.read(source) or "")
    elif option in _CONSTRAINTS:
        take_requirements_file(argument.text, state, argument.line, constrains=True)
    elif option is None or option in _EDITABLE:
        _target(install, argument)
    elif hint := _VALUE_REPORTED.get(option) or _REPORTED.get(option):
        shown = f"{option} {argument.text}".strip()
        install.leave(argument, f"`{shown}` of `pip install` is not taken", hint)
    elif option not in _OF_NO_MATTER and option not in _VALUE_OF_NO_MATTER:
        install.leave(argument, f"`{option}` of `pip install` is not understood", "the packages are taken")


def _target(install: _Install, argument: Argument) -> None:
    """Take what is to be installed: a requirement, the project, or a file."""
    text, state = argument.text, install.state
    path = re.sub(r"\[[^\]]*\]$", "", text)
    extras = text[len(path) + 1 : -1].split(",") if path != text else []
    is_path = re.match(r"(?:\.{0,2}/|~|\.{1,2}$|file:)", path) is not None
    if (is_path or "*" in path) and state.absolute(posixpath.dirname(path)) in state.wheel_folders:
        return  # wheels that an earlier command made
    if not is_path and "://" not in text and (_ARCHIVE.search(path) or "*" in path):
        is_path = True
    if not is_path:
        if requirement := take_requirement(text, state, argument.line):
            install.requirements.append(requirement)
        return
    if _ARCHIVE.search(path) or "*" in path:
        hint = "publish it to an index, or give its address: `name @ https://…`"
        install.leave(argument, f"`{path}` is a file", hint)
        return
    take_project(state, path, argument.line, extras=[extra.strip() for extra in extras])


def _finish(install: _Install, bounds: Sequence[str]) -> None:
    content, where = install.state.content, install.state.place(install.line)
    for option, argument in install.addresses:
        address, is_page = argument.text, option in _LINKS
        if option == "--index" and re.match(r"[a-z0-9-]+=", address):
            address = address.partition("=")[2]
        if "://" not in address:
            if install.state.absolute(address) not in install.state.wheel_folders:
                install.leave(
                    argument, f"`{option} {address}` is a folder", "only pages and indexes are taken"
                )
            continue
        place = install.state.place(argument.line)
        bind(
            content, address, [*install.requirements, *install.listed], place, is_page=is_page, option=option
        )
    report_unbound(content, install.requirements, where)
    for bound in bounds:
        name = re.split(r"[<>]", bound, maxsplit=1)[0]
        message = f"`{bound}` is not quoted: the shell writes to a file, and any `{name}` is installed"
        content.leave(where, message, f'`packages = ["{bound}"]` in [pip], if that is what is meant')


def listed_requirements(text: str) -> Iterator[str]:
    """Yield the requirements of a file, those that say a version; others are reported where it is taken."""
    for _, line in logical_lines(text[:LONGEST_FILE]):
        with contextlib.suppress(RefusedError):
            yield normalized_requirement(line)


def _folder_of_wheels(arguments: Sequence[Argument]) -> str:
    options = {"-w", "--wheel-dir", "-d", "--dest"}
    return next((argument.text for argument in arguments if argument.option in options), ".")
