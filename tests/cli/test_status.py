import gc
import json
from dataclasses import dataclass

import pytest

from envbuild.errors import EngineError, NetworkError
from envbuild.image.built_image import image_reference_for
from envbuild.image.engine import ImageHolder
from envbuild.image.facts import ImageFacts
from envbuild.lock.codec import dumps
from envbuild.lock.identity import EARLIER_FORMATS, RECIPE_FORMAT, target_digest
from envbuild.lock.model import Lock
from envbuild.workflows.project import open_project
from envbuild.workflows.status import TargetStatus, project_status, target_status
from tests.rig.locks import digest, image_base, sample_lock
from tests.rig.program import SPEC, Program

IMAGE_SPEC = SPEC.replace('packages = "debian:bookworm"', 'image = "registry.example.com/python:3.11-slim"')
ON_IMAGE = sample_lock(image_base())
LOCKED = digest("index")
LABELS = {"dev.envbuild.engine": "docker", "dev.envbuild.format": str(RECIPE_FORMAT)}


@dataclass
class OneImage:
    """An engine that has one image, or does not answer."""

    image: ImageFacts | Exception | None = None
    name: str = "docker"
    reference: str | None = None
    """The only name it has; None: every name."""

    def find(self, reference: str) -> ImageFacts | None:
        if isinstance(self.image, Exception):
            raise self.image
        return self.image if self.reference in {None, reference} else None


_: type[ImageHolder] = OneImage


def image_with(labels: dict[str, str]) -> ImageFacts:
    return ImageFacts(
        identifier=digest("image"),
        architecture="amd64",
        env=(),
        user="",
        workdir="",
        command=(),
        entrypoint=(),
        labels=labels,
        diff_ids=(),
        size=1,
    )


def standing(program: Program, lock: Lock = ON_IMAGE, *, image=None, names=LOCKED) -> TargetStatus:
    """Return the state of `lock` when the engine holds `image` and the base's tag names `names`."""
    program.has(lock, IMAGE_SPEC if lock.bases[0].image else SPEC)
    engine = image if isinstance(image, OneImage) else OneImage(image)

    def digest_of(_reference):
        if isinstance(names, Exception):
            raise names
        return names

    (target,) = lock.targets
    return target_status(lock, target, (), engine, digest_of)


@pytest.mark.parametrize(
    ("names", "state", "drifted"),
    [
        pytest.param(digest("index"), "as locked", False, id="the index of the tag"),
        pytest.param(digest("manifest"), "as locked", False, id="the image itself"),
        pytest.param(digest("newer"), "moved", True, id="another"),
        pytest.param(None, "gone", True, id="nothing"),
        pytest.param(NetworkError("no answer"), "unknown", False, id="unreachable"),
    ],
)
def test_what_the_tag_of_the_base_names_now(program: Program, names, state: str, drifted: bool):
    found = standing(program, names=names)

    assert (found.base_state, found.drifted) == (state, drifted)
    assert found.why == ("no answer" if state == "unknown" else None)


def test_a_base_from_packages_has_no_tag(program: Program):
    found = standing(program, sample_lock(), names=NetworkError("never asked"))

    assert (found.base, found.base_state, found.why) == ("debian:bookworm", "from packages", None)


def test_an_image_counts_when_it_says_it_is_of_this_target(program: Program):
    mine = LABELS | {"dev.envbuild.target": target_digest(ON_IMAGE, ON_IMAGE.targets[0])}

    assert standing(program, image=image_with(mine)).built is True
    assert standing(program, image=image_with(LABELS)).built is False
    assert standing(program).built is False


def test_an_image_that_another_engine_built_counts_too(program: Program):
    labels = LABELS | {"dev.envbuild.engine": "local"}
    labels["dev.envbuild.target"] = target_digest(ON_IMAGE, ON_IMAGE.targets[0])

    found = standing(program, image=image_with(labels))

    assert (found.image_state, found.engine, found.made_by) == ("built", "docker", "local")


@pytest.mark.parametrize("earlier", EARLIER_FORMATS)
def test_an_image_of_an_earlier_release_is_to_be_rebuilt(program: Program, earlier: int):
    target = ON_IMAGE.targets[0]
    labels = LABELS | {
        "dev.envbuild.format": str(earlier),
        "dev.envbuild.target": target_digest(ON_IMAGE, target, recipe_format=earlier),
    }
    reference = image_reference_for(ON_IMAGE, target, recipe_format=earlier)

    found = standing(program, image=OneImage(image_with(labels), reference=reference))

    assert (found.image_state, found.built) == ("older format", False)


def test_without_an_engine_nothing_is_known_of_images(program: Program):
    found = standing(program, image=EngineError("no Docker Engine answers"))

    assert (found.built, found.why, found.drifted) == (None, "no Docker Engine answers", False)


def test_a_pushed_image_is_shown_by_its_digest(program: Program):
    repository = "registry.example.com/team/train"
    request = sample_lock().request.model_copy(update={"repository": repository})
    lock = sample_lock().model_copy(update={"request": request})

    found = standing(program, lock, names=digest("pushed"))

    assert found.pushed == digest("pushed")
    assert found.reference.startswith(f"{repository}:")


# Docker's SDK leaves the socket of a connection that failed to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _collected(self):
        yield
        gc.collect()

    def test_a_stale_lock_has_drifted(self, program: Program):
        program.has(sample_lock(), SPEC.replace("seed = 7", "seed = 8"))

        (found,) = project_status(open_project(program.spec)).targets

        assert [str(problem) for problem in found.stale] == ["determinism.seed: 7 → 8"]
        assert found.drifted

    def test_a_table_of_all_specs(self, program: Program):
        for name, spec in (("a", SPEC), ("b", SPEC.replace("seed = 7", "seed = 8"))):
            folder = program.folder / name
            folder.mkdir()
            (folder / "envbuild.toml").write_text(spec)
            (folder / "envbuild.lock").write_text(dumps(sample_lock()))

        answer = program("status", "--all", "--exit-code")

        header, first, second = answer.stdout.splitlines()
        assert answer.code == 1
        assert header.split() == ["spec", "target", "lock", "image", "registry", "base"]
        assert first.startswith("a     default on linux/amd64  answers the spec")
        assert first.endswith("unknown  -         debian:bookworm from packages")
        assert second.startswith("b     default on linux/amd64  stale: 1 field ")
        assert "note: run `envbuild lock`: determinism.seed: 7 → 8\n" in answer.stderr

    def test_a_spec_without_a_lock_hides_no_other(self, program: Program):
        for name, lock in (("a", None), ("b", dumps(sample_lock())), ("c", "not a lock")):
            folder = program.folder / name
            folder.mkdir()
            (folder / "envbuild.toml").write_text(SPEC)
            if lock:
                (folder / "envbuild.lock").write_text(lock)
        (program.folder / "d").mkdir()
        (program.folder / "d/envbuild.toml").write_text("name = 1\n")
        (program.folder / "d/envbuild.lock").write_text(dumps(sample_lock()))

        answer = program("status", "--all", "--exit-code")

        assert answer.code == 1
        assert [line.split("  ")[0].rstrip() for line in answer.stdout.splitlines()] == [
            "spec",
            "a",
            "b",
            "c",
            "d",
        ]
        _, first, second, third, fourth = answer.stdout.splitlines()
        assert first.split() == ["a", "-", "no", "lock", "-", "-", "-"]
        assert "answers the spec" in second
        assert third.split() == ["c", "-", "unreadable", "-", "-", "-"]
        assert fourth.split() == ["d", "-", "spec", "unreadable", "-", "-", "-"]
        assert "note: a: there is no envbuild.lock" in answer.stderr

        entries = json.loads(program("status", "--all", "--json").stdout)
        assert [(entry["spec"], entry["lock"], entry["drifted"]) for entry in entries] == [
            ("a", "no lock", True),
            ("b", "there", False),
            ("c", "unreadable", True),
            ("d", "spec unreadable", True),
        ]

    def test_one_spec_without_a_lock_is_an_error(self, program: Program):
        program.spec.write_text(SPEC)

        answer = program("status")

        assert (answer.code, answer.stdout) == (4, "")
        assert "there is no envbuild.lock" in answer.stderr

    @pytest.mark.slow
    def test_nothing_reachable_is_no_failure(self, program: Program):
        program.has(
            sample_lock(image_base("127.0.0.1:9/python:3.11-slim")),
            IMAGE_SPEC.replace("registry.example.com", "127.0.0.1:9"),
        )

        answer = program("status", "--json", "--exit-code", "--remote")

        (entry,) = json.loads(answer.stdout)
        assert answer.code == 0
        assert entry["base"] == {"reference": "127.0.0.1:9/python:3.11-slim", "state": "unknown"}
        assert entry["built"] is None
        assert "127.0.0.1:9" in entry["unknown-because"]

    def test_an_engine_nobody_has_is_no_fault_of_a_lock(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ):
        program.has(sample_lock(), SPEC)
        monkeypatch.setenv("ENVBUILD_ENGINE", "bogus")

        answer = program("status", "--all")

        assert (answer.code, answer.stdout) == (2, "")
        assert answer.stderr.startswith("error: ENVBUILD_ENGINE names no engine: bogus\n")
