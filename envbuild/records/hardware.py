"""GPUs and driver of this machine, as files of the kernel module say: nothing slow is asked."""

import re
from pathlib import Path
from typing import Final

_NVIDIA: Final = "proc/driver/nvidia"
_VERSION = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+){1,3})")
_MODEL = re.compile(r"^Model:\s*(\S[^\n]{0,99}?)\s*$", re.MULTILINE)
_LONGEST = 1 << 14
_MOST_GPUS = 64


def driver_here(root: Path = Path("/")) -> str | None:
    """Return the version of NVIDIA's driver; None: there is none."""
    found = _VERSION.search(_text(root / _NVIDIA / "version"))
    return found[1] if found else None


def gpus_here(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the names of NVIDIA's GPUs, in the order of their places on the bus."""
    try:
        places = sorted((root / _NVIDIA / "gpus").iterdir())
    except OSError:
        return ()
    found = (_MODEL.search(_text(place / "information")) for place in places[:_MOST_GPUS])
    return tuple(model[1] for model in found if model)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace")
    except OSError:
        return ""
