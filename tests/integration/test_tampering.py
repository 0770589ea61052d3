"""Whatever is changed in an image, a deep verification finds it and says where; see tests/rig/tamperings.

The usual tests have many changes of one class in one image.  Each in an image of its own, in other engines
and elsewhere, is `make test-long`'s.
"""

import os
import shutil
from pathlib import Path

import pytest
import requests

from envbuild.cache.location import cache_folder
from envbuild.errors import EnvbuildError, ExitCode
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.blobs import is_whole
from tests.rig.engine import forget_at_the_end
from tests.rig.good_image import GoodImage
from tests.rig.running import envbuild
from tests.rig.small_image import write_small_image
from tests.rig.tampered_image import digest_of, tamper
from tests.rig.tampered_project import PACKAGES_BASE, failures, is_named, make_project, names, uncovered
from tests.rig.tampering import Change, Tampering
from tests.rig.tamperings import CATALOGUE, UNTOUCHED
from tests.rig.tamperings.together import ALONE, batches

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("tampering"),
    pytest.mark.skipif(os.geteuid() != 0, reason="an image of the local engine needs root in this process"),
]

NAME = f"tampered-{os.getpid()}"
ESCAPES = ("\x1b", "\x07", "\x9b", "\u202e")
SECONDS, HOSTILE_SECONDS = 60, 120


def each(catalogue, *, long_unless=()):
    """Return the parameters of a test for each, long for those whose class is not in ``long_unless``."""
    return [
        pytest.param(
            item,
            id=item.id,
            marks=() if item.klass in long_unless and not item.is_hostile else pytest.mark.long,
        )
        for item in catalogue
    ]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return desk_in(tmp_path_factory.mktemp("tampering"), NAME, PACKAGES_BASE)


@pytest.fixture(scope="module")
def image_desk(tmp_path_factory, debian_image):
    """Return an environment on an image of a registry, whose files no package of the lock brings."""
    return desk_in(tmp_path_factory.mktemp("image"), f"{NAME}-i", f'image = "{debian_image.reference}"')


def desk_in(folder, name, base):
    (folder / "cache").mkdir()
    environment = {**os.environ, "ENVBUILD_CACHE_DIR": str(folder / "cache")}
    if (cache_folder() / "sha256").is_dir():
        # what was fetched need not be fetched again
        shutil.copytree(cache_folder() / "sha256", folder / "cache/sha256", copy_function=_link)
    (folder / "project").mkdir()
    return make_project(folder / "project", name, environment, base=base)


def _link(source, destination):
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def assert_found(tampering, verify):
    """Hold a verification to finding a change; what engines refuse may be refused here too."""
    try:
        result = verify()
    except EnvbuildError as error:
        # what cannot be read is a difference too, if it is said what that is
        is_said = error.exit_code is ExitCode.VERIFICATION and is_named(tampering, f"{error} {error.detail}")
        if tampering.is_refused or is_said:
            return
        pytest.fail(f"{type(error).__name__}: {error}", pytrace=False)
    assert not result.succeeded
    assert names(tampering, result), failures(result)


def seconds_for(tampering):
    return HOSTILE_SECONDS if tampering.is_hostile else SECONDS


# --- where images are put: nothing of envbuild reads them here -----------------------------------


def test_a_registry_has_every_blob_of_a_tampered_image(registry, tmp_path):
    good = GoodImage(write_small_image(tmp_path / "small"))
    image = tamper(good, CATALOGUE[0], packing="gzip")
    reference = image.push(registry, f"{NAME}/small")
    repository = f"{registry.url}/v2/{NAME}/small"
    assert reference == f"{registry.host}/{NAME}/small:latest"
    accepted = {"Accept": good.entry["mediaType"]}
    found = requests.get(f"{repository}/manifests/latest", headers=accepted, timeout=30)
    assert found.content == image.manifest
    for blob in (found.json()["config"], *found.json()["layers"]):
        data = requests.get(f"{repository}/blobs/{blob['digest']}", timeout=30).content
        assert digest_of(data) == blob["digest"]


def test_the_local_engine_has_every_layer_of_a_tampered_image(tmp_path):
    good = GoodImage(write_small_image(tmp_path / "small"))
    image = tamper(good, CATALOGUE[0])
    kept = ImageStore(tmp_path / "cache").get(image.keep(tmp_path / "cache", "small:1"))
    assert kept is not None
    assert (kept.config, kept.manifest) == (image.config, image.manifest)
    assert is_whole(kept, tmp_path / "cache")


# --- in images of the local engine ----------------------------------------------------------------


@pytest.fixture(scope="module")
def together(desk):
    """Return what a verification says of each image that holds many changes, or why it says nothing."""
    found = []
    for batch in batches(desk.good, CATALOGUE):
        reference = tamper(desk.good, batch.whole).keep(desk.cache, f"{NAME}:together")
        try:
            found.append((batch, desk.verify(reference), ""))
        except (EnvbuildError, pytest.fail.Exception) as error:
            found.append((batch, None, f"{type(error).__name__}: {error}"))
    return found


@pytest.mark.parametrize("klass", sorted({item.klass for item in CATALOGUE} - ALONE))
def test_what_was_changed_together_is_found_one_by_one(together, klass):
    missed = [
        (part.name, problem)
        for batch, result, problem in together
        for part in batch.parts
        if part.klass == klass and not (result and names(part, result))
    ]
    assert missed == []


@pytest.mark.parametrize("tampering", each(CATALOGUE, long_unless=ALONE))
def test_what_was_changed_alone_is_found(desk, tampering):
    reference = tamper(desk.good, tampering).keep(desk.cache, f"{NAME}:alone")
    assert_found(tampering, lambda: desk.verify(reference, seconds=seconds_for(tampering)))
    assert not Path("/tmp/out-of-the-image").exists()  # noqa: S108 - where a layer tried to write


@pytest.mark.parametrize("image", [pytest.param(item, id=item.name) for item in UNTOUCHED])
def test_an_untouched_image_is_clean(desk, image):
    result = desk.verify(tamper(desk.good, image).keep(desk.cache, f"{NAME}:untouched"))
    assert result.succeeded, failures(result)
    assert uncovered(result) == 0


@pytest.mark.parametrize(
    "tampering",
    [
        pytest.param(item, id=item.id)
        for item in CATALOGUE
        if "escape" in item.name or item.klass == "odd names"
    ],
)
@pytest.mark.long
def test_nothing_reaches_the_terminal(desk, tampering):
    reference = tamper(desk.good, tampering).keep(desk.cache, f"{NAME}:escapes")
    said = envbuild(
        "verify", "--deep", reference,
        folder=desk.project.folder, environment=desk.machine.environment, check=False,
    )  # fmt: skip
    assert said.returncode != 0
    assert [escape for escape in ESCAPES if escape in said.stdout + said.stderr] == []


@pytest.mark.long
@pytest.mark.parametrize("tampering", each(CATALOGUE[::4]))
def test_it_is_found_on_a_base_image(image_desk, tampering):
    try:
        image = tamper(image_desk.good, tampering)
    except KeyError as error:
        pytest.skip(f"the base has no {error}")
    reference = image.keep(image_desk.cache, f"{NAME}-i:alone")
    assert_found(tampering, lambda: image_desk.verify(reference, seconds=seconds_for(tampering)))


# --- elsewhere --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(desk, engine_host, tmp_path_factory):
    """Give the engine the good image: of a changed one it then lacks the last layer alone."""
    good = Tampering(name="", klass="", named="", make=lambda _: Change())
    forget_at_the_end(tamper(desk.good, good).load(tmp_path_factory.mktemp("load"), f"{NAME}:good"))


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.parametrize("tampering", each(CATALOGUE))
def test_it_is_found_in_the_docker_engine(desk, loaded, tmp_path, tampering):
    name = f"{NAME}:{CATALOGUE.index(tampering)}"
    try:
        reference = tamper(desk.good, tampering).load(tmp_path, name)
    except RuntimeError:
        assert tampering.is_refused
        return
    forget_at_the_end(reference)
    assert_found(tampering, lambda: desk.verify(reference, engine="docker", seconds=seconds_for(tampering)))


@pytest.mark.long
@pytest.mark.parametrize("tampering", each(CATALOGUE))
def test_it_is_found_in_a_registry(desk, registry, tampering):
    image = tamper(desk.good, tampering, packing="gzip")
    reference = image.push(registry, NAME, f"v{CATALOGUE.index(tampering)}")
    assert_found(tampering, lambda: desk.verify(f"registry:{reference}", seconds=seconds_for(tampering)))


@pytest.mark.long
@pytest.mark.parametrize("tampering", each(CATALOGUE))
def test_it_is_found_in_a_layout(desk, tmp_path, tampering):
    layout = tamper(desk.good, tampering).layout(tmp_path / "layout")
    assert_found(tampering, lambda: desk.verify(f"oci:{layout}", seconds=seconds_for(tampering)))


@pytest.mark.long
@pytest.mark.parametrize("tampering", each(CATALOGUE[::10]))
def test_it_is_found_in_an_archive(desk, tmp_path, tampering):
    archive = tamper(desk.good, tampering).archive(tmp_path / "image.tar", f"{NAME}:archive")
    assert_found(tampering, lambda: desk.verify(f"archive:{archive}", seconds=seconds_for(tampering)))


@pytest.mark.long
@pytest.mark.parametrize("image", [pytest.param(item, id=item.name) for item in UNTOUCHED])
def test_an_untouched_image_is_clean_elsewhere(desk, registry, tmp_path, image):
    changed = tamper(desk.good, image, packing="gzip")
    reference = changed.push(registry, NAME, f"untouched{UNTOUCHED.index(image)}")
    places = (
        f"registry:{reference}",
        f"oci:{changed.layout(tmp_path / 'layout')}",
        f"archive:{changed.archive(tmp_path / 'image.tar', f'{NAME}:untouched')}",
    )
    assert [failures(result) for result in map(desk.verify, places) if not result.succeeded] == []
