"""The base class of all frozen models that are read from or written to files."""

from pydantic import BaseModel, ConfigDict


def kebab(name: str) -> str:
    """Return the file spelling of a field name: ``requires_python`` is written ``requires-python``."""
    return name.replace("_", "-")


class Value(BaseModel):
    """Frozen, strict about unknown keys, kebab-case in files and snake_case in code."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=kebab,
        populate_by_name=True,
        defer_build=True,
    )
