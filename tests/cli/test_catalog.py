import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envbuild.catalog.cuda_images import cuda_images
from envbuild.catalog.tables import BUILT_IN
from tests.rig.locks import gpu_lock, wheel
from tests.rig.loopback_registry import FakeRegistry, loopback_registry
from tests.rig.paths import CHECKOUT
from tests.rig.program import Program

NEW_GPU = """\
[gpus.sources]
vendor = "https://example.com/gpus"

[gpus.gpus."NVIDIA X1"]
capability = "10.3"
kind = "data-center"
source = "vendor"
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    with loopback_registry() as running:
        monkeypatch.setenv("ENVBUILD_INSECURE_REGISTRIES", running.host)
        running.tags_a_page = 50
        yield running


@pytest.fixture
def new_gpu(program: Program) -> Path:
    path = program.folder / "gpus.toml"
    path.write_text(NEW_GPU)
    return path


def test_tables_are_listed_with_the_version(program: Program):
    answer = program("catalog", "show")

    first, *rows = answer.stdout.splitlines()
    assert (answer.code, answer.stderr) == (0, "")
    assert first == f"catalogue {BUILT_IN.version}"
    assert [row.split()[0] for row in rows] == [
        "cuda", "architectures", "toolkits", "drivers", "gpus", "images", "components", "frameworks", "rocm",
        "bases",
    ]  # fmt: skip


@pytest.mark.parametrize("table", ["cuda", "architectures", "drivers", "frameworks", "rocm", "bases"])
def test_a_table_reads_like_documentation(program: Program, golden: Callable[[str, str], None], table: str):
    answer = program("catalog", "show", table)

    assert (answer.code, answer.stderr) == (0, "")
    golden(f"catalog-{table}.txt", answer.stdout)


def test_the_examples_of_the_reference_are_what_is_shown(program: Program):
    page = (CHECKOUT / "docs/reference/cli.md").read_text("utf-8")
    (example,) = re.findall(r"^```console\n(\$ envbuild catalog .*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^\$ envbuild (.*)\n((?:[^$].*\n)+)", example, re.MULTILINE)

    assert len(shown) == 2
    for words, text in shown:
        assert program(*words.split()).stdout == text


def test_words_choose_rows_whatever_their_case(program: Program):
    assert program("catalog", "show", "gpus", "h100").stdout == (
        "gpu          capability  kind\nNVIDIA H100  9.0         data-center\n"
    )
    assert program("catalog", "show", "gpus", "8.9", "DATA").stdout.splitlines()[1:] == [
        "NVIDIA L4    8.9         data-center",
        "NVIDIA L40   8.9         data-center",
        "NVIDIA L40S  8.9         data-center",
    ]
    assert program("catalog", "show", "gpus", "nothing like it").stdout == ""


def test_sources_are_shown_when_asked_for_and_always_as_json(program: Program):
    shown = program("catalog", "show", "gpus", "h100", "--sources")
    as_json = json.loads(program("catalog", "show", "gpus", "h100", "--json").stdout)

    assert shown.stdout.splitlines()[1].endswith("https://developer.nvidia.com/cuda-gpus")
    assert as_json == {
        "version": BUILT_IN.version,
        "table": "gpus",
        "rows": [
            {
                "gpu": "NVIDIA H100",
                "capability": "9.0",
                "kind": "data-center",
                "source": "https://developer.nvidia.com/cuda-gpus",
            }
        ],
    }


def test_every_table_has_a_source_in_every_row(program: Program):
    tables = json.loads(program("catalog", "show", "--json").stdout)["tables"]
    for table, count in tables.items():
        rows = json.loads(program("catalog", "show", table, "--json").stdout)["rows"]
        assert len(rows) == count
        assert all(row["source"] for row in rows), table


def test_a_table_that_is_none(program: Program):
    answer = program("catalog", "show", "gpu")

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == "error: there is no table `gpu`\n\nhint: did you mean `gpus`?\n"


def test_the_built_in_catalogue_passes_its_check(program: Program):
    answer = program("catalog", "check")
    as_json = json.loads(program("catalog", "check", "--json").stdout)

    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr.splitlines()[-1] == f"catalogue {BUILT_IN.version}: no flaws"
    assert as_json["flaws"] == []
    assert set(as_json["known-holes"]) == {
        "cuda minors 12.7", "cuda toolkits 11.0.2", "cuda toolkits 11.1.0", "cuda toolkits 11.4.4",
    }  # fmt: skip


def test_an_update_from_a_file_is_in_force_until_it_is_reset(program: Program, new_gpu: Path):
    updated = program("catalog", "update", str(new_gpu))
    version = updated.stdout.removeprefix("catalogue ").rstrip("\n")

    assert (updated.code, updated.stderr) == (0, "")
    assert version.startswith(f"{BUILT_IN.version}+")
    assert program("catalog", "show", "gpus", "x1").stdout.splitlines()[1] == (
        "NVIDIA X1  10.3        data-center"
    )
    assert program("catalog", "show").stdout.startswith(f"catalogue {version}\n")
    assert program("catalog", "check").code == 0

    assert program("catalog", "update", "--reset").stdout == f"catalogue {BUILT_IN.version}\n"
    assert program("catalog", "show", "gpus", "x1").stdout == ""


def test_what_explains_a_lock_knows_the_update_too(program: Program):
    cudart = wheel("nvidia-cuda-runtime", "13.7.1")
    lock = gpu_lock()
    (target,) = lock.targets
    wheels = sorted((*lock.wheels, cudart), key=lambda item: item.file)
    target = target.model_copy(update={"wheels": tuple(sorted((*target.wheels, cudart.file)))})
    program.has(lock.model_copy(update={"wheels": tuple(wheels), "targets": (target,)}))
    unknown = "CUDA 13.7 is not in the catalogue"
    assert unknown in program("explain", "gpu", "--frozen").stdout

    rows = program.folder / "cuda.toml"
    rows.write_text(
        '[cuda.sources]\nvendor = "https://example.com/cuda"\n'
        '[cuda.minors]\n"13.7" = { branch = 640, source = "vendor" }\n'
    )
    program("catalog", "update", str(rows))

    answer = program("explain", "gpu", "--frozen")
    assert answer.code == 0
    assert unknown not in answer.stdout


def test_updates_add_up_and_the_same_rows_are_the_same_version(
    program: Program, new_gpu: Path, tmp_path: Path
):
    more = program.folder / "more.toml"
    more.write_text(NEW_GPU.replace("NVIDIA X1", "NVIDIA X2"))
    kept = tmp_path / "data/catalog.toml"

    program("catalog", "update", str(new_gpu))
    first = program("catalog", "update", str(more)).stdout
    text = kept.read_text()
    program("catalog", "update", "--reset")
    program("catalog", "update", str(more))

    assert program("catalog", "update", str(new_gpu)).stdout == first
    assert kept.read_text() == text
    assert 'made-for = "' in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "[gpus",
            "error: bad.toml: the update is not TOML: Expected ']' at the end of a table declaration (at end "
            "of document)\n",
            id="no TOML",
        ),
        pytest.param(
            "[gpu.x]\n[cuda.minor]\n[drivers]\nbranches = 3\n",
            "error: bad.toml: the update does not have the form of the catalogue\n"
            "  • gpu: there is no such table\n"
            "    hint: there are components, cuda, cuda-images, drivers, frameworks, gpus, rocm\n"
            "  • cuda.minor: there is no such section\n"
            "    hint: there are architectures, generations, majors, minors, sources, toolkits\n"
            "  • drivers.branches: must be a table of rows\n",
            id="other tables",
        ),
        pytest.param(
            '[gpus.gpus."NVIDIA X1"]\ncapability = "ten"\nkind = "data-center"\nsource = "hearsay"\n',
            "error: bad.toml: the update contradicts the catalogue\n"
            "  • gpus gpus NVIDIA X1 capability: String should match pattern '^[1-9][0-9]?\\.[0-9]$'\n",
            id="row of another form",
        ),
        pytest.param(
            '[gpus.gpus."NVIDIA X1"]\ncapability = "9.0"\nkind = "data-center"\nsource = "hearsay"\n',
            "error: bad.toml: the update contradicts the catalogue\n"
            "  • gpus sources: `hearsay` is named by a row and not listed\n",
            id="source not listed",
        ),
        pytest.param(
            '[cuda.minors."13.6"]\nbranch = 600\nsource = "notes"\n',
            "error: bad.toml: the update contradicts the catalogue\n"
            "  • cuda minors 13.6: its driver branch 600 is not newer than 620 of 13.5\n",
            id="contradiction",
        ),
        pytest.param(
            "gpus = 3\n",
            "error: bad.toml: the update does not have the form of the catalogue\n"
            "  • gpus: must be a table of sections\n",
            id="no table",
        ),
        pytest.param(
            "[bases.images]\n'3.11' = 'mine'\n",
            "error: bad.toml: the update does not have the form of the catalogue\n"
            "  • bases: there is no such table\n"
            "    hint: there are components, cuda, cuda-images, drivers, frameworks, gpus, rocm\n",
            id="bases are the spec's",
        ),
    ],
)
def test_a_file_that_is_no_update_changes_nothing(program: Program, text: str, message: str, tmp_path: Path):
    (program.folder / "bad.toml").write_text(text)

    answer = program("catalog", "update", "bad.toml")

    assert (answer.code, answer.stdout, answer.stderr) == (1, "", message)
    assert not (tmp_path / "data").exists()


def test_files_that_cannot_be_read(program: Program):
    (program.folder / "latin.toml").write_bytes(b"\xe9 = 1")

    assert program("catalog", "update", "missing.toml").stderr == (
        "error: missing.toml: no such file or directory\n"
    )
    assert program("catalog", "update", "latin.toml").stderr == "error: latin.toml is not UTF-8\n"
    assert program("catalog", "update", "latin.toml", "--reset").code == 2


def test_an_update_of_another_release_says_how_to_get_rid_of_it(program: Program, tmp_path: Path):
    kept = tmp_path / "data/catalog.toml"
    kept.parent.mkdir()
    kept.write_text('[gpus.gpus."NVIDIA X1"]\nname = "old form"\n')

    answer = program("catalog", "show")

    assert answer.code == 1
    assert answer.stderr.startswith(f"error: {kept}: the update contradicts the catalogue\n  • gpus gpus")
    assert answer.stderr.endswith(
        "\nhint: `envbuild catalog update --reset` goes back to the catalogue of this release\n"
    )
    assert program("catalog", "update", "--reset").code == 0
    assert program("catalog", "show").code == 0


def test_tags_of_a_registry_become_the_images(program: Program, fake: FakeRegistry):
    known = [image.tag for image in cuda_images(cuda="12")][:120]
    others = ["latest", "9.0-base", "13.6.0-base-ubuntu24.04", "13.6.0-base-ubuntu28.04"]
    for tag in (*known, *others):
        fake.put_image("nvidia/cuda", tag)

    answer = program("catalog", "update", "--from", f"{fake.host}/nvidia/cuda", "--json")

    found = json.loads(answer.stdout)
    images = json.loads(program("catalog", "show", "images", "--json").stdout)["rows"]
    assert (answer.code, answer.stderr) == (0, "")
    assert found["version"].startswith(f"{BUILT_IN.version}+")
    assert found["tags"]["listed"] == 121
    assert found["tags"]["new"] == ["13.6.0-base-ubuntu24.04"]
    assert set(found["tags"]["gone"]) == {image.tag for image in cuda_images()} - set(known)
    assert found["tags"]["passed-over"] == 2
    assert found["tags"]["unknown-distributions"] == ["ubuntu28.04"]
    assert {row["image"].partition(":")[2] for row in images} == {*known, "13.6.0-base-ubuntu24.04"}
    assert {row["known"] for row in images} == {"listed"}
    assert {row["source"] for row in images} == {
        f"tags of {fake.host}/nvidia/cuda as its registry lists them: https://{fake.host}/nvidia/cuda"
    }


def test_what_a_registry_changed_is_said(program: Program, fake: FakeRegistry):
    tags = [image.tag for image in cuda_images()]
    for tag in (*tags[3:], "13.6.0-base-ubuntu24.04", "latest"):
        fake.put_image("cuda", tag)

    answer = program("catalog", "update", "--from", f"{fake.host}/cuda")
    checked = program("catalog", "check")

    assert answer.stderr == (
        f"{len(tags) - 2} tags; 1 new (13.6.0-base-ubuntu24.04); "
        f"3 gone ({', '.join(sorted(tags[:3]))})\n"
        "1 other is not an image of CUDA as they are named today\n"
    )
    assert checked.code == 1
    assert checked.stdout == "hole:  cuda-images tags 13.6.0  the toolkit is not known\n"
    assert checked.stderr.splitlines()[-1].endswith(": 1 flaw")


def test_a_list_that_cannot_be_all_tags_changes_nothing(program: Program, fake: FakeRegistry, tmp_path: Path):
    fake.put_image("cuda", "12.6.3-base-ubuntu24.04")

    answer = program("catalog", "update", "--from", f"{fake.host}/cuda")

    assert answer.code == 1
    assert answer.stderr == (
        f"error: {fake.host}/cuda lists 1 tags that are images of CUDA, which cannot be all\n\n"
        "hint: name the repository that has NVIDIA's images, or a mirror of all of it\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "code", "message"),
    [
        ("127.0.0.1:9/nvidia/cuda", 9, "error: cannot reach "),
        ("Not A Reference", 3, "error: `Not A Reference` is not an image reference"),
    ],
)
def test_a_registry_that_does_not_answer(program: Program, reference: str, code: int, message: str):
    answer = program("catalog", "update", "--from", reference)

    assert (answer.code, answer.stdout) == (code, "")
    assert answer.stderr.startswith(message)


def test_a_lock_records_the_version_of_the_catalogue_it_was_made_with(with_index: Program, new_gpu: Path):
    version = with_index("catalog", "update", str(new_gpu)).stdout.removeprefix("catalogue ").rstrip("\n")

    assert with_index("lock", "--upgrade-package", "numpy").code in {0, 5}
    with_index.asks_for()
    assert with_index("lock").code == 0
    assert f'catalog = "{version}"' in with_index.lock.read_text()
