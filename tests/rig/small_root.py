"""A root file system of a few programs of this machine: enough for a private root to run a shell."""

import re
import shutil
import subprocess
from pathlib import Path

PROGRAMS = (
    *("cat", "chmod", "chown", "id", "kill", "ln", "ls", "mkdir", "mv", "rm", "sh", "sleep", "stat", "touch"),
)
ENV = {"PATH": "/bin"}


def make_small_root(folder: Path) -> Path:
    """Copy the programs, what they are linked with, and accounts into ``folder``; return it."""
    (folder / "bin").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\napp:x:1000:\nvideo:x:44:app\n")
    for name in PROGRAMS:
        add_program(folder, name)
    return folder


def add_program(folder: Path, name: str) -> None:
    """Copy a program of this machine, and what it is linked with, into a root."""
    program = shutil.which(name)
    assert program is not None
    shutil.copy(program, folder / "bin" / name)
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+)", linked):
        target = folder / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
