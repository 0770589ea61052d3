"""What an image is assembled from, and what is refused before anything is made."""

import pytest

from envbuild.errors import SpecError
from envbuild.formats.compression import codec_of
from envbuild.image.local.build import BuildInputs, assemble_image, interpreter_debs
from envbuild.render.layers import FIXED_LAYERS, MOST_LAYERS
from tests.rig.locks import deb, digest, image_base, sample_lock


def python_deb(name: str, *, depends: tuple[str, ...] = ()):
    return deb(name, depends=depends).model_copy(update={"source": "python3.11 (3.11.2-6)"})


def test_interpreter_comes_with_all_of_its_standard_library():
    debs = (
        python_deb("python3.11-minimal", depends=("libc6 (>= 2.36)",)),
        python_deb("libpython3.11-stdlib", depends=("libsqlite3-0",)),
        deb("libc6"),
        deb("libsqlite3-0", depends=("libc6",)),
        deb("git"),
    )
    names = [item.name for item in interpreter_debs(debs, "deb python3.11-minimal")]
    assert names == ["libc6", "libpython3.11-stdlib", "libsqlite3-0", "python3.11-minimal"]
    assert interpreter_debs(debs, "deb python3.12") == ()
    assert interpreter_debs(debs, "image") == ()


def test_base_with_too_many_layers_is_refused_before_anything_is_fetched(tmp_path):
    def nothing(*_: object):
        raise AssertionError("nothing is needed")

    base = image_base()
    assert base.image is not None
    many = tuple(digest(str(number)) for number in range(MOST_LAYERS - FIXED_LAYERS))
    image = base.image.model_copy(update={"layers": many, "diff_ids": many})
    lock = sample_lock(base.model_copy(update={"image": image}))
    place = BuildInputs(
        cache=tmp_path,
        codec=codec_of("zstd"),
        artifact=nothing,
        open_wheel=nothing,
        fetch_wheels=nothing,
        carried={},
    )
    with pytest.raises(SpecError) as caught:
        assemble_image(lock, lock.targets[0], place)
    assert caught.value.message.startswith(f"the base has {len(many)} layers, and ")
    assert "flatten" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []
