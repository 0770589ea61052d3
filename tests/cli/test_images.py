"""Images between this machine and a registry: `build` that asks first, `images`, `push`, `pull`, `rm`."""

import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from envbuild.digest import canonical_json
from envbuild.image.built_image import image_reference_for
from envbuild.image.compose import compose_image
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.store import layer_path
from envbuild.lock.codec import dumps
from envbuild.lock.model import Lock
from envbuild.oci.image import OciImage, as_json, described
from envbuild.oci.manifest import OCI_CONFIG
from envbuild.verify.checks.report import CheckResult, Report
from envbuild.workflows.project import read_lock
from envbuild.workflows.verification.image import ImageVerification
from tests.rig.layers import LayerFolder
from tests.rig.locks import digest, image_base
from tests.rig.loopback_registry import FakeRegistry, loopback_registry
from tests.rig.program import SPEC, Program
from tests.rig.pushed_image import lock_of, push_lock_image

# connections that are kept open, and Docker's SDK, leave sockets to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

MOST_BYTES = 1 << 20


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with loopback_registry() as registry:
        yield registry


@pytest.fixture
def lock(program: Program, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> Lock:
    """Return the lock of the project in the current folder, which the registry has no image of."""
    repository = f"{fake.host}/team/train"
    lock = lock_of(repository)
    program.has(lock, SPEC.replace("[image]\n", f'[image]\nrepository = "{repository}"\n'))
    return lock


@pytest.fixture
def pushed(lock: Lock, fake: FakeRegistry, tmp_path: Path) -> OciImage:
    """Return the image of the lock, which the registry has."""
    image = push_lock_image(lock, tmp_path / "blobs")
    fake.seen.clear()
    return image


def reference_of(lock: Lock) -> str:
    return image_reference_for(lock, lock.targets[0])


def kept(tmp_path: Path) -> int:
    """Return the bytes in the cache folder."""
    return sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file())


def changed(image: OciImage, **fields: object) -> OciImage:
    """Return an image with other fields in its configuration."""
    config = canonical_json(json.loads(image.config) | fields)
    manifest = json.loads(image.manifest) | {"config": as_json(described(config, OCI_CONFIG))}
    return OciImage(
        config=config, manifest=canonical_json(manifest), layers=image.layers, diff_ids=image.diff_ids
    )


class TestBuild:
    @pytest.mark.parametrize("engine", ["docker", "local"])
    def test_what_the_registry_has_is_not_built_and_no_layer_is_fetched(
        self, program: Program, fake: FakeRegistry, pushed: OciImage, engine: str, tmp_path: Path
    ):
        answer = program("build", "--engine", engine)

        lock = read_lock(program.lock)
        pinned = f"{fake.host}/team/train@{pushed.descriptor.digest}"
        assert (answer.code, answer.stdout) == (0, f"{reference_of(lock)}\n")
        assert answer.stderr == (
            f"{pinned} is in the registry, not verified; nothing to build\n"
            "note: `envbuild pull` brings it into the engine, "
            "`envbuild build --verify` compares it with the lock\n"
        )
        asked = [(request.method, request.path.rpartition("/")[2]) for request in fake.seen]
        assert asked == [
            ("HEAD", reference_of(lock).rpartition(":")[2]),
            ("GET", pushed.descriptor.digest),
            ("GET", pushed.config_descriptor.digest),
        ]
        assert kept(tmp_path) <= MOST_BYTES

    def test_asked_again_it_is_one_question(self, program: Program, fake: FakeRegistry, pushed: OciImage):
        program("build")
        fake.seen.clear()

        assert program("build").code == 0
        assert [request.method for request in fake.seen] == ["HEAD"]

    def test_there_is_nothing_to_push_either(self, program: Program, fake: FakeRegistry, pushed: OciImage):
        answer = program("build", "--push", "--json")

        document = json.loads(answer.stdout)
        wanted = {
            "built": False,
            "held": False,
            "in-registry": True,
            "verified": False,
            "digest": pushed.descriptor.digest,
            "pushed": pushed.descriptor.digest,
        }
        assert document | wanted == document
        assert "is in the registry already, not verified; nothing to push" in answer.stderr
        assert {request.method for request in fake.seen} == {"HEAD", "GET"}

    def test_several_specs_are_asked_for_each(
        self, program: Program, lock: Lock, fake: FakeRegistry, pushed: OciImage
    ):
        answer = program("build", "--all")

        assert (answer.code, answer.stdout) == (0, f"{reference_of(lock)}\n")
        assert f"{reference_of(lock)} was in the registry, not verified" in answer.stderr

    def test_an_image_of_another_engine_will_do(
        self, program: Program, lock: Lock, fake: FakeRegistry, tmp_path: Path
    ):
        image = push_lock_image(lock, tmp_path / "blobs")
        document = json.loads(image.config)
        document["config"]["Labels"]["dev.envbuild.engine"] = "docker"
        push_lock_image(lock, tmp_path / "blobs", image=changed(image, config=document["config"]))

        assert json.loads(program("build", "--engine", "local", "--json").stdout)["built"] is False

    @pytest.mark.parametrize(
        "words", [["build"], ["build", "--push"], ["build", "--pull"], ["pull"], ["build", "--verify"]]
    )
    def test_labels_of_another_target_are_an_error(
        self, program: Program, lock: Lock, tmp_path: Path, words: list[str]
    ):
        image = push_lock_image(lock, tmp_path / "blobs")
        document = json.loads(image.config)
        document["config"]["Labels"]["dev.envbuild.target"] = digest("another")
        other = push_lock_image(lock, tmp_path / "blobs", image=changed(image, config=document["config"]))

        answer = program(*words)

        assert (answer.code, answer.stdout) == (8, "")
        assert f"error: {reference_of(lock)} in its registry is not the image of this lock" in answer.stderr
        assert f"label dev.envbuild.target is {digest('another')}, not sha256:" in answer.stderr
        assert other.descriptor.digest in answer.stderr

    @pytest.mark.parametrize("fields", [{"architecture": "arm64"}, {"os": "windows"}])
    def test_so_is_an_image_for_another_platform_whatever_its_labels_say(
        self, program: Program, lock: Lock, tmp_path: Path, fields: dict[str, str]
    ):
        image = push_lock_image(lock, tmp_path / "blobs")
        push_lock_image(lock, tmp_path / "blobs", image=changed(image, **fields))

        answer = program("build")

        assert answer.code == 8
        assert "is an image for" in answer.stderr

    def test_so_is_what_is_no_image(self, program: Program, lock: Lock, fake: FakeRegistry):
        fake.put_manifest("team/train", reference_of(lock).rpartition(":")[2], {"schemaVersion": 1})

        answer = program("build")

        assert answer.code == 8
        assert "is not an image for linux/amd64" in answer.stderr

    def test_an_altered_configuration_is_an_error(
        self, program: Program, fake: FakeRegistry, pushed: OciImage
    ):
        fake.swap[pushed.config_descriptor.digest] = pushed.config.replace(b"train", b"xrain")

        assert program("build").code == 10

    def test_a_registry_that_lacks_it_is_no_error(self, program: Program, lock: Lock, fake: FakeRegistry):
        answer = program("build")

        # then the engine is asked, and there is none
        assert answer.code == 6
        assert "note" not in answer.stderr
        assert fake.paths("HEAD")

    def test_a_registry_that_does_not_answer_is_a_note(
        self, program: Program, lock: Lock, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ):
        fake.login = "Basic"

        answer = program("build")

        assert answer.code == 6
        assert f"note: going on without the registry: {fake.host} asks for a login" in answer.stderr

    @pytest.mark.parametrize("option", ["--push", "--pull", "--verify"])
    def test_it_is_an_error_where_the_registry_is_needed(
        self, program: Program, lock: Lock, fake: FakeRegistry, option: str
    ):
        fake.login = "Basic"

        assert program("build", option).code == 9

    @pytest.mark.parametrize(
        "words", [["--offline"], ["--no-cache"], ["--check"], ["--engine", "local", "--output", "oci:x"]]
    )
    def test_it_is_not_asked_when_nothing_can_come_of_it(
        self, program: Program, fake: FakeRegistry, pushed: OciImage, words: list[str]
    ):
        assert program("build", *words).code != 0
        assert fake.seen == []

    @pytest.mark.parametrize("option", ["--pull", "--verify"])
    def test_what_is_built_in_any_case_is_neither_pulled_nor_verified(
        self, program: Program, lock: Lock, option: str
    ):
        assert program("build", option, "--no-cache").code == 2

    @pytest.mark.parametrize("outcome", ["passed", "failed"])
    def test_verify_compares_the_image_of_the_digest_first(
        self,
        program: Program,
        fake: FakeRegistry,
        pushed: OciImage,
        monkeypatch: pytest.MonkeyPatch,
        outcome: Literal["passed", "failed"],
    ):
        verified: list[str] = []

        def compare(_self: object, name: str) -> tuple[str, Report]:
            verified.append(name)
            result = CheckResult(id="x", group="files", title="/opt/a", outcome=outcome, reason="differs")
            return name, Report(target="t", profile="image", results=(result,))

        monkeypatch.setattr(ImageVerification, "from_outside", compare)
        answer = program("build", "--verify", "--push", "--json")

        assert verified == [f"registry:{fake.host}/team/train@{pushed.descriptor.digest}"]
        if outcome == "passed":
            assert json.loads(answer.stdout)["verified"] is True
            assert "is in the registry already, verified; nothing to push" in answer.stderr
        else:
            assert (answer.code, answer.stdout) == (8, "")
            assert "differs from its lock" in answer.stderr
            assert "/opt/a" in answer.stderr


class TestPull:
    def test_the_local_engine_holds_it_afterwards(
        self, program: Program, lock: Lock, fake: FakeRegistry, pushed: OciImage, tmp_path: Path
    ):
        first = json.loads(program("pull", "--engine", "local", "--json").stdout)
        again = program("pull", "--engine", "local")

        assert (first["reference"], first["pulled"], first["verified"]) == (reference_of(lock), True, False)
        assert first["pinned"].endswith(f"/team/train@{pushed.descriptor.digest}")
        assert "the engine has" in again.stderr
        assert "not verified" in again.stderr
        assert ImageStore(tmp_path / "cache").get(reference_of(lock)) == pushed
        (status,) = json.loads(program("status", "--engine", "local", "--json").stdout)
        assert status["image"] == "built"
        assert len([path for path in fake.paths("GET") if "/blobs/" in path]) == 2

    def test_layers_of_the_base_are_kept_with_those_of_bases(
        self, program: Program, fake: FakeRegistry, tmp_path: Path
    ):
        blobs = LayerFolder(tmp_path)
        below, own = blobs.make({"base": b"base"}), blobs.make({"own": b"own"})
        base = image_base()
        assert base.image is not None
        source = base.image.model_copy(update={"layers": (below.digest,), "diff_ids": (below.diff_id,)})
        lock = lock_of(f"{fake.host}/team/train")
        lock = lock.model_copy(
            update={
                "bases": (base.model_copy(update={"image": source}),),
                "targets": (lock.targets[0].model_copy(update={"base": base.key}),),
            }
        )
        program.lock.write_text(dumps(lock))
        shutil.copytree(tmp_path, tmp_path / "blobs", ignore=lambda *_: {"cache", "blobs", "home", "project"})
        push_lock_image(lock, tmp_path / "blobs", image=compose_image(lock, lock.targets[0], [below, own]))

        assert program("pull", "--frozen", "--engine", "local").code == 0

        bases = {path.name for path in (tmp_path / "cache/bases").iterdir()}
        assert bases == {below.digest.removeprefix("sha256:")}
        assert layer_path(tmp_path / "cache", own.digest).is_file()

    def test_an_altered_layer_is_an_error_and_nothing_is_named(
        self, program: Program, lock: Lock, fake: FakeRegistry, pushed: OciImage, tmp_path: Path
    ):
        (layer,) = pushed.layers
        fake.swap[layer.digest] = bytes(layer.size)

        assert program("pull", "--engine", "local").code == 10
        assert ImageStore(tmp_path / "cache").get(reference_of(lock)) is None
        assert not layer_path(tmp_path / "cache", layer.digest).exists()

    def test_what_is_not_there_has_a_hint(self, program: Program, lock: Lock):
        answer = program("pull")

        assert answer.code == 9
        assert answer.stderr.endswith("hint: `envbuild build --push` builds and pushes it\n")

    def test_an_image_is_pulled_by_name_without_a_spec(self, program: Program, lock: Lock, pushed: OciImage):
        program.spec.unlink()
        program.lock.unlink()

        answer = program("pull", reference_of(lock), "--engine", "local", "--platform", "linux/amd64")

        assert (answer.code, answer.stdout) == (0, f"{reference_of(lock)}\n")

    def test_another_programs_image_is_not(self, program: Program, fake: FakeRegistry):
        fake.put_image("team/other", "1")

        answer = program("pull", f"{fake.host}/team/other:1", "--platform", "linux/amd64")

        assert answer.code == 8
        assert "is not an image that envbuild gave this tag" in answer.stderr


class TestPush:
    def test_what_the_engine_lacks_has_a_hint(self, program: Program, lock: Lock):
        answer = program("push", "--engine", "local")

        assert answer.code == 6
        assert answer.stderr.endswith("hint: `envbuild build --push` builds and pushes it\n")

    @pytest.mark.parametrize("verb", ["push", "pull"])
    @pytest.mark.parametrize("named", ["h:5000/team/x@sha256:" + "0" * 64, "h:5000/team/x"])
    def test_an_image_is_named_by_its_tag(self, program: Program, verb: str, named: str):
        answer = program(verb, named, "--engine", "local")

        assert (answer.code, answer.stdout) == (2, "")
        assert answer.stderr == (
            f"error: `{named}` names no tag\n\nhint: write REPOSITORY:TAG, as `envbuild build` printed it\n"
        )

    def test_what_was_pulled_is_pushed_again_where_it_is_gone(
        self, program: Program, lock: Lock, fake: FakeRegistry, pushed: OciImage
    ):
        program("pull", "--engine", "local")
        there = json.loads(program("push", "--engine", "local", "--json").stdout)
        fake.manifests.clear()
        again = program("push", "--engine", "local", "--json")

        assert (there["pushed"], json.loads(again.stdout)["pushed"]) == (False, True)
        assert there["digest"] == json.loads(again.stdout)["digest"] == pushed.descriptor.digest
        assert ("team/train", reference_of(lock).rpartition(":")[2]) in fake.manifests

    def test_a_spec_without_a_repository_has_nowhere_to_push_to(self, locked: Program):
        for verb in ("push", "pull"):
            assert locked(verb, "--engine", "local").code == 2


class TestImagesAndRemoval:
    @pytest.fixture
    def two(self, program: Program, lock: Lock, pushed: OciImage, tmp_path: Path) -> Program:
        """Return the program whose local engine holds the lock's image, and two others of the same layer."""
        assert program("pull", "--engine", "local").code == 0
        store = ImageStore(tmp_path / "cache")
        document = json.loads(pushed.config)
        document["config"]["Labels"]["dev.envbuild.target"] = digest("older")
        older = replace(changed(pushed, config=document["config"]))
        store.put(f"{reference_of(lock).rpartition(':')[0]}:older", older)
        document["config"]["Labels"]["org.opencontainers.image.title"] = "elsewhere"
        store.put("elsewhere:1", changed(pushed, config=document["config"]))
        return program

    def test_those_of_the_project_are_listed_and_the_lock_s_own_is_marked(self, two: Program, lock: Lock):
        answer = two("images")

        lines = answer.stdout.splitlines()
        assert [line.split()[0].rpartition("/")[2] for line in lines] == [
            "image",
            f"train:{reference_of(lock).rpartition(':')[2]}",
            "train:older",
        ]
        assert lines[1].endswith("of the lock")
        assert not lines[2].endswith("of the lock")
        assert "1 image of other environments: `envbuild images --all`" in answer.stderr
        assert "note: docker: no Docker Engine answers" in answer.stderr
        assert len(json.loads(two("images", "--all", "--json").stdout)["images"]) == 3

    def test_an_engine_that_was_asked_for_and_does_not_answer_is_an_error(self, two: Program):
        assert two("images", "--engine", "docker").code == 6

    def test_without_a_spec_all_are_listed(self, two: Program):
        two.spec.unlink()

        assert len(json.loads(two("images", "--json").stdout)["images"]) == 3

    def test_without_a_lock_those_of_the_spec_s_name_are(self, two: Program):
        two.lock.unlink()

        images = json.loads(two("images", "--json").stdout)["images"]
        assert [image["current"] for image in images] == [False, False]

    def test_what_another_image_needs_stays(self, two: Program, lock: Lock, pushed: OciImage, tmp_path: Path):
        (layer,) = pushed.layers
        answer = two("rm", reference_of(lock))

        assert answer.stderr == f"removed {reference_of(lock)} from local\n"
        assert layer_path(tmp_path / "cache", layer.digest).is_file()
        assert two("rm", "older").code == 0
        assert layer_path(tmp_path / "cache", layer.digest).is_file()
        assert two("rm", "elsewhere:1").code == 0
        assert not layer_path(tmp_path / "cache", layer.digest).exists()
        assert list((tmp_path / "cache/images/names").iterdir()) == []

    def test_unused_are_those_the_lock_does_not_make(self, two: Program, lock: Lock):
        refused = two("rm", "--unused")
        assert refused.code == 2
        assert "1 image would be removed, and nobody is there to ask" in refused.stderr

        removed = json.loads(two("rm", "--unused", "--yes", "--json").stdout)["removed"]

        assert [image["reference"].rpartition(":")[2] for image in removed] == ["older"]
        assert two("rm", "--unused").stderr == "there is nothing to remove\n"

    def test_without_a_lock_nothing_is_unused(self, two: Program):
        two.lock.unlink()

        assert two("rm", "--unused", "--yes").code == 4

    def test_all_are_those_of_other_environments_too(self, two: Program):
        assert two("rm", "--all", "--yes").code == 0
        assert json.loads(two("images", "--all", "--json").stdout)["images"] == []

    def test_an_id_is_named_by_its_first_digits(self, two: Program, pushed: OciImage, lock: Lock):
        assert (
            two("rm", pushed.descriptor.digest[7:19]).stderr == f"removed {reference_of(lock)} from local\n"
        )

    @pytest.mark.parametrize("words", [[], ["x", "--all"], ["--all", "--unused"]])
    def test_what_to_remove_must_be_said_in_one_way(self, two: Program, words: list[str]):
        assert two("rm", *words).code == 2

    def test_what_envbuild_did_not_build_is_not_removed(self, two: Program):
        answer = two("rm", "python:3.11")

        assert answer.code == 6
        assert "no engine holds an image python:3.11 that envbuild built" in answer.stderr
        assert "docker: no Docker Engine answers" in answer.stderr
