"""Options as a program gives them: refused by the name of their field, or brought to the declared type."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from envbuild.errors import UsageError

if TYPE_CHECKING:
    from envbuild.image.engine import ImageOutput

Item = TypeVar("Item")


def refuse_other(field: str, value: object, allowed: Sequence[str]) -> None:
    """Return if ``value`` is one of ``allowed``, or None: the default.

    :raises UsageError: it is another one.
    """
    if value is not None and value not in allowed:
        raise UsageError(f"`{field}` cannot be {value!r}", hint=f"allowed values: {', '.join(allowed)}")


def names_of(field: str, values: Iterable[str]) -> frozenset[str]:
    """Return the names in ``values``, of any iterable.

    :raises UsageError: it is one text, or holds something else.
    """
    return frozenset(texts_of(field, values))


def texts_of(field: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return the texts in ``values``, of any iterable, in their order.

    :raises UsageError: it is one text, or holds something else.
    """
    found = _items(field, values, "names")
    if not all(isinstance(item, str) for item in found):
        raise UsageError(f"`{field}` holds something that is not text", hint="give a list of names")
    return found


def paths_of(field: str, values: Iterable[str | Path]) -> tuple[Path, ...]:
    """Return the paths in ``values``, of any iterable; texts are paths too.

    :raises UsageError: it is one path, or holds something else.
    """
    try:
        return tuple(map(Path, _items(field, values, "paths")))
    except TypeError as error:
        raise UsageError(
            f"`{field}` holds something that is not a path", hint="give a list of paths"
        ) from error


def outputs_of(field: str, values: "Iterable[ImageOutput | str]") -> "tuple[ImageOutput, ...]":
    """Return the places for an image in ``values``, of any iterable; texts such as ``oci:DIR`` are read.

    :raises UsageError: it is one place, or holds something else.
    """
    return tuple(_output(field, value) for value in _items(field, values, "places for an image"))


def _output(field: str, value: "ImageOutput | str") -> "ImageOutput":
    from envbuild.image.engine import ImageOutput

    if isinstance(value, ImageOutput):
        return value
    if not isinstance(value, str):
        raise UsageError(f"`{field}` cannot hold {value!r}", hint="write oci:FOLDER or archive:FILE")
    return parse_output(value)


def parse_output(text: str) -> "ImageOutput":
    """Read where a built image is written besides the engine: ``oci:DIR``, ``archive:FILE``.

    :raises UsageError: it has another form.
    """
    from envbuild.image.engine import ImageOutput, OutputKind

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


def _items(field: str, values: Iterable[Item], what: str) -> tuple[Item, ...]:
    # a text is an iterable of letters, which nobody means
    if isinstance(values, str | bytes | os.PathLike) or not isinstance(values, Iterable):
        raise UsageError(f"`{field}` cannot be {values!r}", hint=f"give a list of {what}")
    return tuple(values)
