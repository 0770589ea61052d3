from typing import Any

import pytest

from envbuild.catalog.check import TABLES, check, known_holes
from envbuild.catalog.check_rules import Flaw
from envbuild.catalog.cuda_images import cuda_images
from envbuild.catalog.tables import BUILT_IN, Catalog, read_data


def test_the_built_in_catalogue_has_no_flaw() -> None:
    assert check(BUILT_IN) == ()
    assert set(known_holes()) == {
        "cuda minors 12.7",
        "cuda toolkits 11.0.2",
        "cuda toolkits 11.1.0",
        "cuda toolkits 11.4.4",
    }


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.file)
def test_every_row_has_a_public_source(kind) -> None:
    table = BUILT_IN.table(kind)

    assert table.sources
    for source in table.sources.values():
        assert any(place in source for place in ("https://", "public ", "on the Python index")), source


@pytest.mark.parametrize(
    ("update", "flaw"),
    [
        pytest.param(
            {"cuda": {"minors": {"13.6": {"source": "notes"}}}},
            Flaw("cuda minors 13.6", "hole", "its driver branch is not known"),
            id="no branch",
        ),
        pytest.param(
            {"cuda": {"minors": {"14.0": {"branch": 700, "source": "notes"}}}},
            Flaw("cuda minors 14.0", "hole", "CUDA 14 is not among the majors"),
            id="no major",
        ),
        pytest.param(
            {"cuda": {"minors": {"13.6": {"branch": 600, "source": "notes"}}}},
            Flaw("cuda minors 13.6", "contradiction", "its driver branch 600 is not newer than 620 of 13.5"),
            id="branches out of order",
        ),
        pytest.param(
            {"cuda": {"majors": {"13": {"minimum-driver": "600.1", "source": "notes"}}}},
            Flaw(
                "cuda majors 13",
                "contradiction",
                "its minimum driver 600.1 is newer than its first branch, 580",
            ),
            id="minimum too new",
        ),
        pytest.param(
            {"cuda": {"majors": {"14": {"minimum-driver": "700.1", "source": "notes"}}}},
            Flaw("cuda majors 14", "hole", "what it makes code for is not known"),
            id="major without architectures",
        ),
        pytest.param(
            {"cuda": {"toolkits": {"12.6.9": {"driver": "570.1", "runtime": "12.6.99", "source": "notes"}}}},
            Flaw("cuda toolkits 12.6.9", "contradiction", "driver 570.1 is not of branch 560"),
            id="driver of another branch",
        ),
        pytest.param(
            {"cuda": {"toolkits": {"12.6.9": {"runtime": "12.8.1", "source": "notes"}}}},
            Flaw("cuda toolkits 12.6.9", "contradiction", "runtime 12.8.1 is of another CUDA"),
            id="runtime of another CUDA",
        ),
        pytest.param(
            {"cuda": {"toolkits": {"12.6.9": {"runtime": "12.6.1", "source": "notes"}}}},
            Flaw(
                "cuda toolkits 12.6.9",
                "contradiction",
                "its runtime library 12.6.1 is older than 12.6.77 of 12.6.3",
            ),
            id="runtimes out of order",
        ),
        pytest.param(
            {"cuda": {"architectures": {"13.6": {"capabilities": "8.0", "source": "nccl"}}}},
            Flaw(
                "cuda architectures 13.6",
                "contradiction",
                "7.5, 8.6, 8.7, 8.8, 8.9, 9.0, 10.0, 10.3, 11.0, 12.0, 12.1 of 13.0 is gone within one major",
            ),
            id="architectures lost",
        ),
        pytest.param(
            {
                "cuda": {
                    "generations": {
                        "Volta": {"capabilities": "7.0", "last-cuda-major": 13, "source": "lifecycle"}
                    }
                }
            },
            Flaw(
                "cuda generations Volta",
                "contradiction",
                "CUDA 13 is said to be the last for 7.0, and 12 makes code for it",
            ),
            id="generation lives too long",
        ),
        pytest.param(
            {"drivers": {"forward-compatibility": {"13.5": {"branches": [535, 620], "source": "forward"}}}},
            Flaw(
                "drivers forward-compatibility 13.5",
                "contradiction",
                "it lifts branches that have CUDA 13.5 by themselves",
            ),
            id="lifts its own branch",
        ),
        pytest.param(
            {
                "gpus": {
                    "gpus": {
                        "NVIDIA X1": {"capability": "13.0", "kind": "data-center", "source": "cuda-gpus"}
                    }
                }
            },
            Flaw("gpus gpus NVIDIA X1", "hole", "no CUDA is known that makes code for 13.0"),
            id="GPU no CUDA knows",
        ),
        pytest.param(
            {
                "cuda-images": {
                    "tags": {
                        "13.5.0": [{"flavours": "base", "distributions": "ubuntu28.04", "source": "cog"}]
                    }
                }
            },
            Flaw("cuda-images tags 13.5.0", "hole", "what ubuntu28.04 is made of is not known"),
            id="unknown distribution",
        ),
        pytest.param(
            {
                "cuda-images": {
                    "tags": {
                        "13.9.0": [{"flavours": "base", "distributions": "ubuntu24.04", "source": "cog"}]
                    }
                }
            },
            Flaw("cuda-images tags 13.9.0", "hole", "the toolkit is not known"),
            id="image of no toolkit",
        ),
        pytest.param(
            {
                "cuda-images": {
                    "tags": {
                        "13.5.0": [{"flavours": "base base", "distributions": "ubuntu24.04", "source": "cog"}]
                    }
                }
            },
            Flaw("cuda-images tags 13.5.0", "contradiction", "`13.5.0-base-ubuntu24.04` is listed 2 times"),
            id="tag listed twice",
        ),
        pytest.param(
            {
                "components": {
                    "toolkits": {"13.5.0": {"versions": {"cudart": "13.5.1"}, "source": "toolkit-wheel"}}
                }
            },
            Flaw(
                "components toolkits 13.5.0",
                "contradiction",
                "its runtime is 13.5.1 here, 13.5.37 in cuda",
            ),
            id="two runtimes",
        ),
        pytest.param(
            {
                "frameworks": {
                    "builds": {
                        "torch": {
                            "default": {
                                "last": "2.7",
                                "from": {"2.7": {"cuda": "12.6", "capabilities": "12.0", "source": "cog"}},
                            }
                        }
                    }
                }
            },
            Flaw("frameworks builds torch default 2.7", "contradiction", "CUDA 12.6 makes no code for 12.0"),
            id="build for a GPU its CUDA does not know",
        ),
        pytest.param(
            {
                "gpus": {
                    "gpus": {"NVIDIA T4": {"capability": "7.5", "kind": "data-center", "source": "hearsay"}}
                }
            },
            Flaw("gpus sources", "hole", "`hearsay` is named by a row and not listed"),
            id="source not listed",
        ),
        pytest.param(
            {"rocm": {"gpus": {"AMD X": {"target": "sm_90", "source": "radeon"}}}},
            Flaw("rocm gpus AMD X", "contradiction", "`sm_90` is not a target"),
            id="AMD GPU with a CUDA target",
        ),
    ],
)
def test_flaw_is_found(update: dict[str, Any], flaw: Flaw) -> None:
    assert flaw in check(Catalog(update))


def test_rows_that_are_not_well_formed_are_all_named() -> None:
    update = {
        "gpus": {"gpus": {"NVIDIA X1": {"capability": "nine", "kind": "toaster", "source": "cuda-gpus"}}},
        "cuda": {"architectures": {"13.6": {"capabilities": "8.0 sm80", "source": "nccl"}}},
    }

    found = [(flaw.where, flaw.message) for flaw in check(Catalog(update))]
    assert found == [
        ("cuda architectures 13.6 capabilities", "`sm80` is not a compute capability"),
        ("gpus gpus NVIDIA X1 capability", "String should match pattern '^[1-9][0-9]?\\.[0-9]$'"),
        ("gpus gpus NVIDIA X1 kind", "Input should be 'data-center', 'workstation', 'geforce' or 'jetson'"),
    ]


def test_an_update_replaces_whole_rows_and_changes_the_version() -> None:
    row = {"capability": "9.0", "kind": "data-center", "source": "cuda-gpus"}
    updated = Catalog({"gpus": {"gpus": {"NVIDIA H900": row}}})
    same = Catalog({"gpus": {"gpus": {"NVIDIA H900": dict(reversed(row.items()))}}})

    assert BUILT_IN.version == read_data("catalog")["version"]
    assert updated.version.startswith(f"{BUILT_IN.version}+")
    assert updated.version == same.version
    assert len(updated.version.partition("+")[2]) == 12
    assert check(updated) == ()


def test_images_of_a_complete_list_have_no_siblings() -> None:
    row = {"flavours": "base", "distributions": "ubuntu24.04", "source": "cog", "complete": True}
    updated = Catalog({"cuda-images": {"tags": {"13.4.2": [row], "13.4.3": []}}})

    images = cuda_images(cuda="13.4", catalog=updated)
    assert [
        (image.tag, image.evidence, image.superseded_by) for image in images if image.cuda > "13.4.1"
    ] == [("13.4.2-base-ubuntu24.04", "listed", None)]
