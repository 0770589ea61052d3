from envbuild.catalog.bases import IMAGES, default_image
from envbuild.spec import rules


def test_every_supported_python_has_a_default_image() -> None:
    for minor in range(10, 15):
        for python in (f"3.{minor}", f"3.{minor}.1"):
            assert rules.python(python) == python
            image = default_image(python)
            assert image == f"python:{python}-slim-bookworm"
            assert rules.image(image) == image
    assert list(IMAGES) == ["3.10", "3.11", "3.12", "3.13", "3.14"]
