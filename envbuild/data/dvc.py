"""Pointers of DVC: what a ``.dvc`` file or an output in ``dvc.lock`` says, and whether files are that.

Known are DVC 3's (``hash: md5``).  Of a folder the md5 is that of a listing in JSON, with ``.dir`` after it.
"""

import contextlib
import hashlib
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from envbuild.data.names import clashing, fault_of
from envbuild.data.scan import FileIdentity, FoundFile
from envbuild.errors import EnvbuildError, SpecError

LARGEST_POINTER: Final = 1 << 24
LARGEST_LISTING: Final = 1 << 28

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_POINTER: Final = re.compile(r"([0-9a-f]{32})(\.dir)?")
_SEPARATOR: Final = "dvc.lock:"
_FOLDER: Final = ".dir"


class DvcPointerError(EnvbuildError):
    """A pointer of DVC is missing, not understood, or leads out of the project."""

    exit_code = SpecError.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class DvcOutput:
    """One output of DVC."""

    file: Path
    """The ``.dvc`` file or ``dvc.lock``."""

    path: str
    """Where the output is, relative to the folder that pointers are named from."""

    md5: str
    """With ``.dir`` of a folder."""

    target: str
    """What commands of DVC call it, in the folder that pointers are named from."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(_FOLDER)


def read_output(folder: Path, source: str) -> DvcOutput:
    """Return the output that ``source`` names: ``data/images.dvc``, or ``dvc.lock:data/images``.

    :raises DvcPointerError: there is none, or it is of a kind that is not supported.
    """
    if _SEPARATOR in source:
        file, _, wanted = source.partition(":")
        outputs = _outputs_of_stages(_document(folder / file, file), file)
        below = PurePosixPath(file).parent
        found = [output for output in outputs if str(below / str(output.get("path"))) == wanted] or [
            output for output in outputs if output.get("path") == wanted
        ]
        if not found:
            raise DvcPointerError(
                f"{file} has no output `{wanted}`", hint="run `dvc repro`, or check its path"
            )
        target = None
    else:
        file = source
        document = _document(folder / file, file)
        below = PurePosixPath(file).parent / _relative(document.get("wdir", "."), file)
        found = _list(document.get("outs"), file)
        if len(found) != 1:
            raise DvcPointerError(f"{file} has {len(found)} outputs, not one")
        target = file
    path = str(below / _relative(found[0].get("path"), file))
    return DvcOutput(file=folder / file, path=path, md5=_md5(found[0], file), target=target or path)


def digest_of(md5: Mapping[str, str], *, is_folder: bool) -> str:
    """Return what DVC calls files whose md5 are given by path."""
    if not is_folder:
        return next(iter(md5.values()))
    listing = [{"md5": md5[path], "relpath": path} for path in sorted(md5)]
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + _FOLDER


def cached_files(output: DvcOutput, name: str) -> list[FoundFile] | None:
    """Return the files of an output in DVC's own cache; None: not all of them are there.

    ``name`` is what a single file is called.

    :raises DvcPointerError: the listing of a folder is not well formed, or not what its name says.
    """
    cache = _cache_of(output.file)
    if cache is None:
        return None
    wanted = _listed(cache, output) if output.is_folder else {name: output.md5}
    if wanted is None:
        return None
    found = []
    for path, md5 in sorted(wanted.items()):
        place = _place(cache, md5)
        try:
            status = place.stat(follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        found.append(FoundFile(path, str(place), FileIdentity.of(status)))
    return found


def _listed(cache: Path, output: DvcOutput) -> dict[str, str] | None:
    """Return the md5 of each file of a folder by path, as its listing has them."""
    try:
        with _place(cache, output.md5).open("rb") as stream:
            data = stream.read(LARGEST_LISTING + 1)
    except OSError:
        return None
    if len(data) > LARGEST_LISTING or hashlib.md5(data, usedforsecurity=False).hexdigest() != output.md5[:-4]:
        raise DvcPointerError(
            f"the listing of {output.path} in DVC's cache is not what its name says",
            hint=f"run `dvc fetch {output.target}`",
        )
    refused = DvcPointerError(f"the listing of {output.path} in DVC's cache is not one of DVC's")
    files: dict[str, str] = {}
    try:
        for row in json.loads(data):
            path, md5 = row["relpath"], row["md5"]
            if fault_of(path) is not None or not _MD5.fullmatch(md5) or path in files:
                raise refused
            files[path] = md5
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise refused from error
    if clashing(set(files)) is not None:
        raise refused
    return files


def _place(kept: Path, md5: str) -> Path:
    return kept / "files" / "md5" / md5[:2] / md5[2:]


def _cache_of(pointer: Path) -> Path | None:
    """Return DVC's cache of the repository that a pointer is in, where DVC has it by default."""
    for folder in pointer.absolute().parents:
        if (folder / ".dvc").is_dir():
            return folder / ".dvc" / "cache"
    return None


def _document(file: Path, shown: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - only pointers need it

    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_POINTER + 1)
    except FileNotFoundError as error:
        raise DvcPointerError(f"there is no {shown}", hint="run `dvc add`, or check its path") from error
    except OSError as error:
        raise DvcPointerError(f"{shown} cannot be read: {error.strerror}") from error
    with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
        if len(data) <= LARGEST_POINTER:
            document = yaml.safe_load(data)
            if isinstance(document, dict):
                return document
    raise DvcPointerError(f"{shown} is no file of DVC", hint="restore it from version control")


def _outputs_of_stages(document: dict[str, Any], shown: str) -> list[dict[str, Any]]:
    if str(document.get("schema")) != "2.0":
        raise DvcPointerError(f"{shown} has schema {document.get('schema')}, not 2.0")
    stages = document.get("stages")
    if not isinstance(stages, dict):
        raise DvcPointerError(f"{shown} has no stages")
    return [
        output
        for stage in stages.values()
        if isinstance(stage, dict)
        for output in _list(stage.get("outs", []), shown)
    ]


def _list(value: Any, shown: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise DvcPointerError(f"{shown} has no list of outputs")
    return value


def _relative(value: Any, shown: str) -> PurePosixPath:
    path = str(value) if isinstance(value, str) else ""
    if path != "." and fault_of(path.rstrip("/")) is not None:
        raise DvcPointerError(f"{shown} names {value!a}, which is no path in its folder")
    return PurePosixPath(path)


def _md5(output: dict[str, Any], shown: str) -> str:
    md5 = output.get("md5")
    if not isinstance(md5, str) or not _POINTER.fullmatch(md5):
        raise DvcPointerError(
            f"{shown} gives no md5 of its output",
            hint="only outputs in DVC's own cache are supported: run `dvc commit`",
        )
    if output.get("hash") != "md5":
        raise DvcPointerError(
            f"{shown} is of DVC 2, whose md5 of text files is of other line ends",
            hint="run `dvc cache migrate --dvc-files` with DVC 3, then commit the file",
        )
    return md5
