"""The JSON schema of the spec, for editors.

``python -m envbuild.spec.json_schema`` writes it, ``--check`` compares.
"""

import ast
import inspect
import json
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from envbuild.files.atomic import write_text
from envbuild.spec.model import Spec

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "reference" / "envbuild.schema.json"
"""Where the committed schema is, in a checkout."""


class _TomlSchema(GenerateJsonSchema):
    """JSON schema as it holds for TOML, which has no null."""

    schema_dialect = "http://json-schema.org/draft-07/schema#"  # what editors' TOML plug-ins know

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Describe each key by the doc string below its field."""
        described = super().model_schema(schema)
        cls = schema["cls"]
        docs = _field_docs(cls)
        for name, field in cls.model_fields.items():
            key = field.alias or name
            if name in docs and key in described.get("properties", {}):
                described["properties"][key].setdefault("description", docs[name])
        return described

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Describe the value alone: an absent key stands for None."""
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Leave out titles: they would only repeat the keys."""
        return False


def _field_docs(cls: type) -> dict[str, str]:
    """Return the doc strings below the fields of a class and of those it inherits from, by name.

    Read here and not by pydantic, which would read the sources of all models at each start of the program.
    """
    docs: dict[str, str] = {}
    for part in reversed(cls.__mro__):
        if not part.__module__.startswith("envbuild."):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        for field, text in pairwise(getattr(body, "body", ())):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    docs[name] = inspect.cleandoc(doc)
    return docs


def schema_text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(_tidied(Spec.model_json_schema(schema_generator=_TomlSchema)), indent=2) + "\n"


def _tidied(node: Any) -> Any:
    """Leave out defaults that only stand for an absent key or table, and refuse keys no pattern admits."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: _tidied(value) for key, value in node.items() if key != "propertyNames"}
    if "patternProperties" in tidied:
        tidied["additionalProperties"] = False
    if "default" in tidied and ("$ref" in tidied or tidied["default"] is None):
        del tidied["default"]
    return tidied


def main(arguments: list[str]) -> None:
    """Write the schema, or with ``--check`` exit with a message when the committed one differs."""
    if arguments not in ([], ["--check"]):
        raise SystemExit("usage: python -m envbuild.spec.json_schema [--check]")
    if not arguments:
        write_text(SCHEMA_FILE, schema_text())
    elif not SCHEMA_FILE.is_file() or SCHEMA_FILE.read_text(encoding="utf-8") != schema_text():
        raise SystemExit(
            f"{SCHEMA_FILE.name} is not what the models say; run `python -m envbuild.spec.json_schema`"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
