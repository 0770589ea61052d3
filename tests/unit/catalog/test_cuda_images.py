import pytest

from envbuild.catalog.cuda_images import cuda_images, parse_tag


def test_all_tags_are_listed_and_read_back() -> None:
    listed = [image for image in cuda_images() if image.evidence == "listed"]

    assert len(listed) == len({image.tag for image in listed}) == 1197
    for image in cuda_images():
        parsed = parse_tag(image.tag)
        assert parsed is not None
        assert (parsed.cuda, parsed.distribution) == (image.cuda, image.distribution)


def test_newest_update_of_a_minor_comes_first() -> None:
    images = cuda_images(cuda="12.6", flavour="base", packages="debian")

    assert [image.tag for image in images[:4]] == [
        "12.6.3-base-ubuntu24.04",
        "12.6.3-base-ubuntu22.04",
        "12.6.3-base-ubuntu20.04",
        "12.6.2-base-ubuntu24.04",
    ]
    assert [image.superseded_by for image in images[:4]] == [None, None, None, "12.6.3"]
    assert images[0].reference == "nvidia/cuda:12.6.3-base-ubuntu24.04"
    assert (images[0].libc, images[0].python) == ("2.39", "3.12")


@pytest.mark.parametrize(
    ("tag", "flavour", "cudnn", "nccl"),
    [
        ("12.2.2-cudnn8-runtime-ubuntu22.04", "cudnn-runtime", "8.9.6.50", "2.19.3"),
        ("12.3.2-cudnn9-devel-ubuntu22.04", "cudnn-devel", "9.0.0.312", "2.20.3"),
        ("12.4.1-cudnn-runtime-ubuntu22.04", "cudnn-runtime", "9.1.0.70", "2.21.5"),
        ("13.2.1-cudnn-devel-ubuntu24.04", "cudnn-devel", "9", None),
        ("12.4.1-base-ubuntu22.04", "base", None, None),
        ("12.4.1-runtime-ubuntu22.04", "runtime", None, "2.21.5"),
    ],
)
def test_libraries_of_an_image(tag: str, flavour: str, cudnn: str | None, nccl: str | None) -> None:
    image = next(image for image in cuda_images() if image.tag == tag)

    assert (image.flavour, image.cudnn, image.nccl) == (flavour, cudnn, nccl)


def test_siblings_of_a_seen_image_are_taken_to_exist() -> None:
    images = {
        image.flavour: image for image in cuda_images(cuda="13.0.3") if image.distribution == "ubuntu24.04"
    }

    assert {flavour: image.evidence for flavour, image in images.items()} == {
        "base": "sibling",
        "runtime": "sibling",
        "devel": "sibling",
        "cudnn-runtime": "sibling",
        "cudnn-devel": "listed",
    }


def test_siblings_are_true_where_the_whole_list_is_known() -> None:
    complete = [image for image in cuda_images() if image.state is not None]

    assert {image.evidence for image in complete} == {"listed"}


def test_size_is_told_where_somebody_published_it() -> None:
    sizes = {image.tag: image.size for image in cuda_images() if image.size}

    assert sizes["13.1.1-cudnn-runtime-ubuntu24.04"] == 1_690_000_000
    assert len(sizes) == 3


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "12.6.3",
        "12.6-base-ubuntu24.04",
        "12.6.3-cudnn-base-ubuntu24.04",
        "12.6.3-base-debian12",
        "12.6.3-base-ubuntu24.04-amd64",
        "12.6.3-cudnn7-devel-ubuntu18.04",
        "",
    ],
)
def test_other_tags_are_not_read(tag: str) -> None:
    assert parse_tag(tag) is None
