"""Where a built image is written besides the engine: ``oci:DIR``, ``archive:FILE``."""

from pathlib import Path
from typing import cast, get_args

from envbuild.errors import UsageError
from envbuild.image.engine import ImageOutput, OutputKind


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
    output = ImageOutput(kind=cast("OutputKind", kind), path=Path(path))
    if output.kind == "archive" and output.path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name the archive's file")
    return output
