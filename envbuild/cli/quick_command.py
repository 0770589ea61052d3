"""A command that answers before what checks its options could be imported.

typer converts the values of a command with adapters of pydantic, whose import takes longer than all else that
`tree` and `why` do.  Values that need no conversion are taken as they are here; all others are left to typer.
"""

from functools import partial
from pathlib import Path
from typing import Any

from typer.core import TyperCommand


class QuickCommand(TyperCommand):
    """A command whose plain values are not converted."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters."""
        return taking_plain_values(super().get_params(ctx))


def taking_plain_values(parameters: Any) -> Any:
    """Return ``parameters``, made to leave values that need no conversion as they are."""
    for parameter in parameters:
        # earlier releases of typer have no adapters
        convert = getattr(parameter, "get_runtime_param", None)
        if convert is not None and "get_runtime_param" not in vars(parameter):
            vars(parameter)["get_runtime_param"] = partial(_PlainValues, convert)
    return parameters


class _PlainValues:
    """Takes the values of one parameter; ``convert`` returns what typer converts them with."""

    def __init__(self, convert: Any) -> None:
        self._convert = convert

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value of a parameter, None where it is not given."""
        is_list = param.multiple or param.nargs == -1
        if value is None:
            return () if is_list else None
        kind, plain = param.type_descriptor.annotation, param.type_descriptor.parameter_info
        texts = value if is_list and not isinstance(value, str) else [value]
        if all(isinstance(text, str) for text in texts):
            if kind == (list[str] if is_list else str):
                return list(texts) if is_list else value
            if kind is Path and not is_list and not (plain.exists or plain.resolve_path or plain.allow_dash):
                return Path(value)
        return self._convert().coerce(value, param=param, ctx=ctx)
