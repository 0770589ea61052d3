"""What every table of the spec is."""

from pydantic import ConfigDict

from envbuild.values import Value


class SpecTable(Value):
    """A table of the spec: nothing is converted silently, and keys have one spelling."""

    model_config = ConfigDict(strict=True, populate_by_name=False)
