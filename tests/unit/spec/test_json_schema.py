"""The committed schema is the models', and what it and the documentation say is what the loader does."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from envbuild.errors import SpecError
from envbuild.spec import json_schema
from envbuild.spec.load import read_spec
from envbuild.spec.model import Overlay, Spec
from envbuild.spec.tables.table import SpecTable
from tests.rig.paths import CHECKOUT

REFERENCE = (CHECKOUT / "docs" / "reference" / "spec.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)
EXAMPLES = sorted(CHECKOUT.glob("examples/**/envbuild.toml"))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    document = json.loads(json_schema.schema_text())
    jsonschema.Draft7Validator.check_schema(document)
    return jsonschema.Draft7Validator(document, format_checker=jsonschema.FormatChecker())


def as_json(value: Any) -> Any:
    """Return TOML data as an editor's plug-in hands it to a schema: dates are text."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def tables(table: type[SpecTable]) -> Iterator[type[SpecTable]]:
    def inside(annotation: Any) -> Iterator[type[SpecTable]]:
        if isinstance(annotation, type) and issubclass(annotation, SpecTable):
            yield from tables(annotation)
        for argument in get_args(annotation):
            yield from inside(argument)

    yield table
    for field in table.model_fields.values():
        yield from inside(field.annotation)


def test_the_committed_schema_is_what_the_models_say() -> None:
    assert json_schema.SCHEMA_FILE.read_text(encoding="utf-8") == json_schema.schema_text()
    json_schema.main(["--check"])


def test_check_fails_for_another_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schema, "SCHEMA_FILE", tmp_path / "envbuild.schema.json")
    with pytest.raises(SystemExit, match=r"^envbuild\.schema\.json is not what the models say"):
        json_schema.main(["--check"])
    json_schema.main([])
    json_schema.main(["--check"])
    json_schema.SCHEMA_FILE.write_text("{}")
    with pytest.raises(SystemExit, match=r"is not what the models say"):
        json_schema.main(["--check"])
    with pytest.raises(SystemExit, match=r"^usage: "):
        json_schema.main(["--chekc"])


def test_every_key_and_table_is_described() -> None:
    document = json.loads(json_schema.schema_text())
    for name, table in {"Spec": document, **document["$defs"]}.items():
        assert table["description"], name
        for key, described in table["properties"].items():
            target = document["$defs"][described["$ref"].rpartition("/")[2]] if "$ref" in described else {}
            assert described.get("description") or target.get("description"), (name, key)


def test_the_reference_has_examples() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("text", [*BLOCKS, *(path.read_text(encoding="utf-8") for path in EXAMPLES)])
def test_examples_satisfy_schema_and_loader(
    validator: jsonschema.Draft7Validator, tmp_path: Path, text: str
) -> None:
    validator.validate(as_json(tomllib.loads(text)))
    path = tmp_path / "envbuild.toml"
    path.write_text(text, encoding="utf-8")
    assert read_spec(path).checked().name


def test_the_reference_documents_every_key() -> None:
    documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", REFERENCE, re.MULTILINE))
    keys = {
        field.alias or name
        for table in tables(Spec)
        for name, field in table.model_fields.items()
        if table is not Overlay
    }
    sections = {
        "base", "pip", "system", "conda", "gpu", "image", "determinism", "experiments", "data", "build",
        "devcontainer", "variants",
    }  # fmt: skip
    assert documented | sections == keys | sections
    for section in sections - {"variants", "data"}:
        assert f"\n## `[{section}]`\n" in REFERENCE
    assert "\n## `[[data]]`\n" in REFERENCE
    assert "\n## Variants\n" in REFERENCE
    for key in Overlay.model_fields:
        assert f"`{key}`" in REFERENCE[REFERENCE.index("## Variants") :]


def test_the_reference_gives_the_defaults_of_the_models() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|", REFERENCE, re.MULTILINE)
    expected = {
        "platforms": '`["linux/amd64"]`',
        "default-variant": '`"default"`',
        "resolver": '`"uv"`',
        "project": "`false`",
        "user": '`"app"`',
        "workdir": '`"/workspace"`',
        "command": '`["python"]`',
        "engine": '`"docker"`',
    }
    assert {key: default for key, default in rows if key in expected} == expected
    defaults = {
        field.alias or name: field.default
        for table in tables(Spec)
        if table is not Overlay
        for name, field in table.model_fields.items()
    }
    for key, shown in expected.items():
        value = tomllib.loads(f"x = {shown.strip('`')}")["x"]
        assert defaults[key] == (tuple(value) if isinstance(value, list) else value), key


@pytest.mark.parametrize(
    "text",
    [
        "nam = 'x'",
        "python = 3.11",
        "python = '3.9'",
        "name = 'A'",
        "platforms = ['amd64']",
        "platforms = []",
        "snapshot = 'soon'",
        "base = {}",
        "base = { image = 'a:b', packages = 'debian:bookworm' }",
        "base.packages = 'debian:sid'",
        "base.image = 'A B'",
        "pip.packages = 'x'",
        "pip.resolver = 'pip'",
        "pip.indexes = { default = 'https://h' }",
        "pip.indexes = { a = 'https://u@h' }",
        "pip.indexes = { a = 'ftp://h' }",
        "system.packages = ['A']",
        "image.env = { 'a-b' = 'x' }",
        "image.env = { a = 1 }",
        "image.user = '0'",
        "image.workdir = 'x'",
        "image.command = []",
        "image.repository = 'h/x:1'",
        "determinism.seed = -1",
        "determinism.seed = 4294967296",
        "build.engine = 'x'",
        "conda = { channel = 'x' }",
        "pip = false",
        "variants.A = {}",
        "variants.a.pip = true",
        "variants.a.platforms = ['linux/amd64']",
        "variants.a.image.repository = 'h/x'",
    ],
)
def test_schema_and_loader_refuse_the_same(
    validator: jsonschema.Draft7Validator, tmp_path: Path, text: str
) -> None:
    head = "".join(
        f"{line}\n"
        for line in ('name = "x"', 'python = "3.11"')
        if not text.startswith(line.split()[0] + " ")
    )
    assert not validator.is_valid(as_json(tomllib.loads(head + text)))
    path = tmp_path / "envbuild.toml"
    path.write_text(head + text)
    with pytest.raises(SpecError):
        read_spec(path).checked()


@pytest.mark.parametrize("table", ["base", "pip", "system", "gpu", "image", "determinism", "experiments"])
def test_schema_and_loader_let_a_variant_switch_a_table_off(
    validator: jsonschema.Draft7Validator, tmp_path: Path, table: str
) -> None:
    text = f'name = "x"\npython = "3.11"\nvariants.a.{table} = false\n'
    validator.validate(as_json(tomllib.loads(text)))
    path = tmp_path / "envbuild.toml"
    path.write_text(text)
    assert getattr(read_spec(path).checked().variants["a"], table) is False
