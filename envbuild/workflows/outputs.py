"""Where a built image is written besides the engine: ``oci:DIR``, ``archive:FILE``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from envbuild.errors import UsageError

OutputKind = Literal["oci", "archive"]


@dataclass(frozen=True, slots=True)
class ImageOutput:
    """One place and its form."""

    kind: OutputKind
    path: Path

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"


def parse_output(text: str) -> ImageOutput:
    """Read the value of ``--output``.

    :raises UsageError: it has another form.
    """
    kind, colon, path = text.partition(":")
    if kind not in get_args(OutputKind) or not colon or not path:
        raise UsageError(
            f"`{text}` is not a place for an image",
            hint="write oci:FOLDER for an OCI layout, or archive:FILE for what engines load",
        )
    output = ImageOutput(cast("OutputKind", kind), Path(path))
    if output.kind == "archive" and output.path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name the archive's file")
    return output
