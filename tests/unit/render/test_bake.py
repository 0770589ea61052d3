import json

import pytest

from envbuild.errors import SpecError
from envbuild.render.bake import BakeTarget, render_bake, target_names

TRAIN = BakeTarget(
    name="train-default-amd64",
    folder="train-default-amd64",
    reference="train:0123456789ab",
    platform="linux/amd64",
    epoch=1_759_321_815,
    arguments=("DEBIAN_URL", "WHEELS_URL"),
)
SERVE = BakeTarget(
    name="serve-cpu-arm64",
    folder="serve-cpu-arm64",
    reference="registry.example.com/serve:ba9876543210",
    platform="linux/arm64",
    epoch=1,
    arguments=("WHEELS_URL",),
)


def test_addresses_are_variables_and_images_a_group():
    assert json.loads(render_bake([TRAIN, SERVE])) == {
        "variable": {
            "DEBIAN_URL": {"default": "https://address-not-given.invalid"},
            "WHEELS_URL": {"default": "https://address-not-given.invalid"},
        },
        "group": {"default": {"targets": ["serve-cpu-arm64", "train-default-amd64"]}},
        "target": {
            "serve-cpu-arm64": {
                "context": "serve-cpu-arm64",
                "tags": ["registry.example.com/serve:ba9876543210"],
                "platforms": ["linux/arm64"],
                "args": {"WHEELS_URL": "${WHEELS_URL}", "SOURCE_DATE_EPOCH": "1"},
                "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
            },
            "train-default-amd64": {
                "context": "train-default-amd64",
                "tags": ["train:0123456789ab"],
                "platforms": ["linux/amd64"],
                "args": {
                    "DEBIAN_URL": "${DEBIAN_URL}",
                    "WHEELS_URL": "${WHEELS_URL}",
                    "SOURCE_DATE_EPOCH": "1759321815",
                },
                "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
            },
        },
    }


def test_order_does_not_show():
    assert render_bake([TRAIN, SERVE]) == render_bake([SERVE, TRAIN])


def test_names_are_what_bake_accepts():
    assert target_names({"gpu of here": ("ml.train", "gpu", "arm/v7")}) == {
        "gpu of here": "ml-train-gpu-arm-v7"
    }


def test_two_images_of_one_name_are_refused():
    with pytest.raises(SpecError) as caught:
        target_names(
            {
                "c of envs/1": ("a-b", "c", "amd64"),
                "d of envs/1": ("a-b", "d", "amd64"),
                "b-c of envs/2": ("a", "b-c", "amd64"),
            }
        )

    assert [str(problem) for problem in caught.value.problems] == [
        "a-b-c-amd64: is c of envs/1 and b-c of envs/2"
    ]
