"""Programs that install no package of Python: those that are of no matter to an environment, and the rest."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from envbuild.discovery.commands.build_state import FROM_HINT

_NOTHING_TO_DO: Final = frozenset({
    "rm", "echo", "printf", "set", "true", ":", "ls", "which", "pwd", "ldconfig", "hash", "unset", "umask",
    "sync", "date", "whoami", "id", "cat", "head", "tail", "sleep", "exit", "shopt", "source", ".", "chmod",
    "chown", "chgrp", "nvidia-smi", "uname", "df", "du", "type", "locale-gen", "locale", "localedef",
    "dpkg-reconfigure", "groupadd", "addgroup", "usermod", "groupmod", "chpasswd",
    "passwd", "chsh", "visudo", "rmdir", "trap", "wait", "clear", "test", "update-ca-certificates", "free",
    "nproc", "dpkg", "pre-commit", "nvcc", "fix-permissions",
})  # fmt: skip
"""Programs that leave nothing an environment needs: caches go, permissions and accounts are envbuild's."""

_ARCHIVES_HINT: Final = f"archives of packages besides the base's are a later feature; {FROM_HINT}"
_BUILD_HINT: Final = f"building it in the image is a later feature; {FROM_HINT}"
_FETCH_HINT: Final = f"fetch it when a container starts, or mount it; {FROM_HINT}"

INSTALLER_OF_CONDA: Final = re.compile(r"(?i)(?:mini(?:conda|forge)|anaconda|mambaforge)[^/\s]*\.sh")
INSTALLER_OF_PYTHON_TOOLS: Final = re.compile(
    r"(?i)/uv/install\.sh|get-pip\.py|install\.python-poetry\.[a-z]+"
)
_OF_PYTHON: Final = re.compile(r".*/(?:python|pip|conda|uv|poetry|lib/|libcuda)[^/]*")
_USUAL_FOLDERS: Final = ("/root/", "/tmp", "/var/", "/etc/", "/usr/", "~", "/opt/conda", "/home/")  # noqa: S108


@dataclass(frozen=True, slots=True)
class CommandRefusal:
    """Why a command is not taken, and what can be done."""

    why: str
    hint: str


_FIXED: Final = {
    **dict.fromkeys(
        ("apk", "yum", "dnf", "microdnf", "zypper", "pacman", "brew", "tdnf"),
        CommandRefusal(
            "packages of another distribution than Debian and Ubuntu", "name Debian's in [system] packages"
        ),
    ),
    **dict.fromkeys(
        ("make", "cmake", "ninja", "gcc", "g++", "cargo", "go", "meson", "bazel", "./configure"),
        CommandRefusal("builds something from source", _BUILD_HINT),
    ),
    **dict.fromkeys(
        ("npm", "npx", "yarn", "pnpm", "nvm", "node"),
        CommandRefusal("installs what is not Python", FROM_HINT),
    ),
    **dict.fromkeys(("R", "Rscript", "julia"), CommandRefusal("installs what is not Python", FROM_HINT)),
    "xargs": CommandRefusal(
        "takes words from a file or another program", "if a file lists packages: name it in [system] files"
    ),
    "jupyter": CommandRefusal("configures Jupyter", FROM_HINT),
}


def refusal_of(program: str, words: Sequence[str], workdir: str) -> CommandRefusal | None:
    """Return why a command is not taken; None where nothing of it is needed."""
    if program in _NOTHING_TO_DO:
        return None
    if program == "mkdir":
        return _folders(words, workdir)
    if judge := _JUDGED.get(program):
        return judge(words)
    return _FIXED.get(program) or CommandRefusal("is not understood", FROM_HINT)


def _folders(words: Sequence[str], workdir: str) -> CommandRefusal | None:
    """Pass over folders that steps of the build need; what a container needs is reported."""
    for folder in words:
        if folder.startswith("/") and not folder.startswith(_USUAL_FOLDERS) and folder.rstrip("/") != workdir:
            hint = "make it when a container starts, or mount something there"
            return CommandRefusal("makes a folder, which is not there in the image", hint)
    return None


def _archive(words: Sequence[str]) -> CommandRefusal | None:
    """Pass over an archive that only brings another Python: where that comes from is envbuild's affair."""
    names = [word for word in words if not word.startswith("-")]
    if names and all("deadsnakes" in name or name in {"universe", "main", "multiverse"} for name in names):
        return None
    return CommandRefusal("adds an archive of packages", _ARCHIVES_HINT)


def _link(words: Sequence[str]) -> CommandRefusal | None:
    names = [word for word in words if not word.startswith("-")]
    if names and _OF_PYTHON.fullmatch(names[0]):
        return None
    return CommandRefusal("makes a link", FROM_HINT)


def _alternatives(words: Sequence[str]) -> CommandRefusal | None:
    if any("python" in word or "pip" in word for word in words):
        return None
    return CommandRefusal("is not understood", FROM_HINT)


def _download(words: Sequence[str]) -> CommandRefusal | None:
    line = " ".join(words)
    if INSTALLER_OF_CONDA.search(line) or INSTALLER_OF_PYTHON_TOOLS.search(line):
        return None
    return CommandRefusal("downloads a file while building", _FETCH_HINT)


def _find(words: Sequence[str]) -> CommandRefusal | None:
    if "-delete" in words or {"-exec", "rm"} <= set(words):
        return None
    return CommandRefusal("is not understood", FROM_HINT)


_JUDGED: Final[dict[str, Callable[[Sequence[str]], CommandRefusal | None]]] = {
    **dict.fromkeys(("add-apt-repository", "apt-add-repository"), _archive),
    **dict.fromkeys(("curl", "wget", "aria2c", "gdown", "huggingface-cli", "hf", "gsutil", "aws"), _download),
    "ln": _link,
    "update-alternatives": _alternatives,
    "find": _find,
}
