"""`envbuild devcontainer`: files that come, stay, change, and are not overwritten."""

import hashlib
import json
import os
import re
from pathlib import Path

import jsonschema
import pytest

from envbuild.formats import jsonc
from envbuild.lock.codec import dumps
from envbuild.lock.gpu import TargetGpu
from envbuild.lock.identity import target_digest
from tests.rig.devcontainers import SCHEMA
from tests.rig.locks import sample_lock, wheel
from tests.rig.program import SPEC, Program

FILE = Path(".devcontainer/devcontainer.json")


def value(path=FILE):
    return jsonc.parse(path.read_text()).value


def without_digests(text):
    """Return a text that a new field in the lock does not change."""
    return re.sub(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b", "<digest>", text)


def other_lock():
    """Return a lock of one wheel less: another target, another tag."""
    lock = sample_lock()
    target = lock.targets[0].model_copy(update={"wheels": lock.targets[0].wheels[1:]})
    return lock.model_copy(update={"targets": (target,)})


def with_gpu(vendor="nvidia"):
    lock = sample_lock()
    gpu = TargetGpu(vendor=vendor, runtime="13.0" if vendor == "nvidia" else "6.4", image="slim")
    return lock.model_copy(update={"targets": (lock.targets[0].model_copy(update={"gpu": gpu}),)})


@pytest.fixture
def written(locked: Program) -> Program:
    """Return the program where a dev container is as it was just written."""
    assert locked("devcontainer").code == 0
    return locked


def test_it_is_written_and_then_there_is_nothing_to_do(locked: Program):
    answer = locked("devcontainer")
    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr == "wrote .devcontainer/devcontainer.json\n"
    before = FILE.stat().st_mtime_ns
    again = locked("devcontainer", "--json")
    assert json.loads(again.stdout) == {"files": [str(FILE)], "written": []}
    assert "nothing to do" in again.stderr
    assert FILE.stat().st_mtime_ns == before
    assert locked("devcontainer", "--check").code == 0


def test_the_whole_configuration(written: Program, golden):
    jsonschema.Draft201909Validator(SCHEMA).validate(value())
    golden("devcontainer.json", without_digests(FILE.read_text()))


def test_plain_json_parsers_of_editors_see_no_trailing_comma(written: Program):
    text = "".join(line for line in FILE.read_text().splitlines(keepends=True) if line[:2] != "//")
    assert json.loads(text) == value()


def test_all_that_are_there_are_checked_and_brought_up_to_date(program: Program):
    for name in ("made", "none", "by-hand"):
        folder = program.folder / "envs" / name
        folder.mkdir(parents=True)
        (folder / "envbuild.toml").write_text(SPEC)
        (folder / "envbuild.lock").write_text(dumps(sample_lock()))
    by_hand = Path("envs/by-hand", FILE)
    by_hand.parent.mkdir()
    by_hand.write_text('{"image": "x"}')
    assert program("devcontainer", "--spec", "envs/made").code == 0
    assert program("devcontainer", "--all", "--check").code == 0
    Path("envs/made/envbuild.lock").write_text(dumps(other_lock()))

    answer = program("devcontainer", "--all", "--check")

    assert (answer.code, answer.stdout) == (1, "")
    assert "envs/made\nerror: the dev container is out of date\n" in answer.stderr
    assert answer.stderr.splitlines()[-4:] == [
        "spec",
        "envs/by-hand  ok      has none",
        "envs/made     failed  the dev container is out of date",
        "envs/none     ok      has none",
    ]
    made = json.loads(program("devcontainer", "--all", "--json").stdout)
    assert [(entry["spec"], entry.get("written")) for entry in made] == [
        ("envs/by-hand", None), ("envs/made", [str(FILE)]), ("envs/none", None),
    ]  # fmt: skip
    assert program("devcontainer", "--all", "--check").code == 0
    assert not Path("envs/none/.devcontainer").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"name": "x",, }', ".devcontainer/devcontainer.json cannot be read"),
        ("[]", ".devcontainer/devcontainer.json is not a JSON object"),
        ("[" * 100_000, ".devcontainer/devcontainer.json cannot be read"),
    ],
    ids=["cut", "array", "deep"],
)
@pytest.mark.parametrize("option", [[], ["--check"]], ids=["write", "check"])
def test_one_that_cannot_be_read_is_not_passed_over(
    locked: Program, content: str, message: str, option: list[str]
):
    FILE.parent.mkdir()
    FILE.write_text(content)

    answer = locked("devcontainer", "--all", *option)

    assert (answer.code, answer.stdout) == (1, "")
    assert f"error: {message}\n" in answer.stderr
    assert "has none" not in answer.stderr
    assert FILE.read_text() == content


def test_one_of_somebody_elses_beside_ours_may_be_unreadable(written: Program):
    other = Path(".devcontainer/other/devcontainer.json")
    other.parent.mkdir()
    for content in (b"{", b"\xff\xfe{"):
        other.write_bytes(content)
        assert written("devcontainer", "--check").code == 0
        assert written("devcontainer", "--all", "--check").code == 0


def test_a_check_of_none_fails_and_writes_nothing(locked: Program):
    answer = locked("devcontainer", "--check")
    assert answer.code == 1
    assert "+++ .devcontainer/devcontainer.json as it should be" in answer.stderr
    assert not FILE.parent.exists()


def test_a_stale_lock_is_said_first(written: Program):
    written.asks_for("numpy>=2")
    assert written("devcontainer", "--check").code == 4


def test_edits_and_comments_survive_another_lock(written: Program):
    text = FILE.read_text()
    text = text.replace('"remoteUser": "app",', '"remoteUser": "root", // I know what I do')
    text = text.replace('["source=train', '["source=data,target=/data,type=volume", "source=train')
    text = jsonc.set_value(text, ("forwardPorts",), [8888])
    text = text.replace('"forwardPorts"', '// the notebook\n    "forwardPorts"')
    FILE.write_text(text)
    assert written("devcontainer", "--check").code == 0
    before = value()

    written.has(other_lock())
    assert written("devcontainer", "--check").code == 1
    assert written("devcontainer").code == 0
    after = FILE.read_text()
    assert value()["image"] != before["image"]
    assert value()["mounts"] == before["mounts"]
    assert '"remoteUser": "root", // I know what I do\n' in after
    assert '// the notebook\n    "forwardPorts": [8888]' in after
    changed = [key for key in before if value()[key] != before[key]]
    assert changed == ["image", "containerEnv", "postCreateCommand", "customizations"]


def test_what_trackers_are_told_is_what_the_lock_says(written: Program):
    variables = value()["containerEnv"]
    record = json.loads(variables["ENVBUILD_RUN"])
    lock = Path("envbuild.lock").read_bytes()
    assert record["lock"] == {"path": "envbuild.lock", "sha256": hashlib.sha256(lock).hexdigest()}
    assert record["target"] == target_digest(sample_lock(), sample_lock().targets[0])
    assert json.loads(variables["MLFLOW_RUN_CONTEXT"])["envbuild.lock"] == record["lock"]["sha256"]
    # an image that is built where the container is made has no digest yet
    assert "WANDB_DOCKER" not in variables


def test_an_own_variable_stays_beside_them(written: Program):
    FILE.write_text(jsonc.set_value(FILE.read_text(), ("containerEnv", "OWN"), "1"))
    written.has(other_lock())
    assert written("devcontainer").code == 0
    assert value()["containerEnv"]["OWN"] == "1"
    record = json.loads(value()["containerEnv"]["ENVBUILD_RUN"])
    assert record["target"] == target_digest(other_lock(), other_lock().targets[0])


def test_trackers_are_told_nothing_where_the_spec_says_so(program: Program):
    lock = sample_lock()
    silent = lock.targets[0].model_copy(update={"record": False})
    program.has(lock.model_copy(update={"targets": (silent,)}))
    assert program("devcontainer", "--frozen").code == 0
    assert "containerEnv" not in value()


def test_a_deleted_value_stays_deleted(written: Program):
    FILE.write_text(jsonc.remove(FILE.read_text(), ("remoteUser",)))
    written.has(other_lock())
    assert written("devcontainer").code == 0
    assert "remoteUser" not in value()


def test_a_value_changed_on_both_sides_is_refused_and_shown(written: Program):
    mine = FILE.read_text().replace('"image": "train:', '"image": "mine:')
    FILE.write_text(mine)
    written.has(other_lock())
    answer = written("devcontainer")
    assert answer.code == 1
    assert '• .devcontainer/devcontainer.json: image: is "mine:' in answer.stderr
    assert 'would be "train:' in answer.stderr
    assert "--replace" in answer.stderr
    assert FILE.read_text() == mine
    assert written("devcontainer", "--replace").code == 0
    assert value()["image"].startswith("train:")


HAND_WRITTEN = """\
{
\t// of my own
\t"name": "Mine",
\t"image": "python:3.11", /* for now */
\t"postCreateCommand": "pip install -e .",
\t"runArgs": ["--init",],
}
"""


def test_a_file_by_hand_is_refused_where_it_says_something_else(locked: Program):
    FILE.parent.mkdir()
    FILE.write_text(HAND_WRITTEN)
    answer = locked("devcontainer")
    assert answer.code == 1
    assert 'name: is "Mine", would be "train"' in answer.stderr
    assert 'image: is "python:3.11", would be "train:' in answer.stderr
    assert FILE.read_text() == HAND_WRITTEN


def test_a_file_by_hand_is_taken_over_on_demand(locked: Program):
    FILE.parent.mkdir()
    FILE.write_text(HAND_WRITTEN)
    assert locked("devcontainer", "--replace").code == 0
    text = FILE.read_text()
    assert "\t// of my own\n" in text
    assert "/* for now */" in text
    assert value()["runArgs"] == ["--init"]
    assert value()["postCreateCommand"]["own"] == "pip install -e ."
    assert value()["postCreateCommand"]["envbuild"][0] == "/usr/bin/python3.11"
    jsonschema.Draft201909Validator(SCHEMA).validate(value())
    assert locked("devcontainer", "--check").code == 0


@pytest.mark.parametrize(
    ("extra", "where"),
    [
        ('"build": {"dockerfile": "Dockerfile"}', "build: is "),
        ('"dockerComposeFile": "compose.yaml", "service": "app"', "dockerComposeFile: is "),
        ('"customizations": []', "customizations: is []"),
    ],
)
def test_what_cannot_stand_beside_the_image_is_refused(locked: Program, extra: str, where: str):
    FILE.parent.mkdir()
    FILE.write_text(f"{{{extra}}}")
    answer = locked("devcontainer")
    assert answer.code == 1
    assert where in answer.stderr
    assert FILE.read_text() == f"{{{extra}}}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": "x",, }', "devcontainer.json:1:14: a key in double quotes is missing; there is `,`"),
        (b"[]", "devcontainer.json is not a JSON object"),
        (b"\xff\xfe{", "is not UTF-8 text"),
        (b"", "a value is missing; there is the end"),
        (b'{"a": "\\ud800"', "`,` or `}` is missing; there is the end"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_where(locked: Program, content: bytes, message: str):
    FILE.parent.mkdir()
    FILE.write_bytes(content)
    answer = locked("devcontainer")
    assert (answer.code, answer.stdout) == (1, "")
    assert message in answer.stderr
    assert FILE.read_bytes() == content


def test_half_a_character_is_no_reason_to_fail(locked: Program):
    FILE.parent.mkdir()
    FILE.write_text('{"name": "train", "remoteUser": "\\ud800"}')
    assert 'remoteUser: is "\\ud800", would be "app"' in locked("devcontainer").stderr


def test_the_file_in_the_root_is_not_doubled(locked: Program):
    Path(".devcontainer.json").write_text("{}")
    answer = locked("devcontainer")
    assert answer.code == 1
    assert "move it to .devcontainer/devcontainer.json" in answer.stderr


def test_packages_that_can_be_edited_take_a_layer(locked: Program, golden):
    locked.spec.write_text(f"{SPEC}\n[devcontainer]\neditable = true\n")
    assert locked("devcontainer").code == 0
    assert value()["build"] == {"dockerfile": "Dockerfile"}
    assert "image" not in value()
    golden("devcontainer.Dockerfile", without_digests(Path(".devcontainer/Dockerfile").read_text()))
    compile(Path(".devcontainer/editable.py").read_text(), "editable.py", "exec")
    assert locked("devcontainer", "--check").code == 0

    locked.spec.write_text(SPEC)
    assert locked("devcontainer").code == 0
    assert sorted(path.name for path in FILE.parent.iterdir()) == ["devcontainer.json"]
    assert "build" not in value()
    assert value()["image"].startswith("train:")


def test_a_layer_somebody_edited_is_not_overwritten(locked: Program):
    locked.spec.write_text(f"{SPEC}\n[devcontainer]\neditable = true\n")
    locked("devcontainer")
    path = Path(".devcontainer/Dockerfile")
    path.write_text(path.read_text() + "RUN true\n")
    answer = locked("devcontainer")
    assert answer.code == 1
    assert ".devcontainer/Dockerfile: is not as envbuild wrote it" in answer.stderr
    assert path.read_text().endswith("RUN true\n")
    assert locked("devcontainer", "--replace").code == 0
    assert not path.read_text().endswith("RUN true\n")


def test_root_can_edit_packages_anyway(program: Program):
    lock = sample_lock()
    root = lock.targets[0].user.model_copy(update={"name": "root", "uid": 0, "gid": 0})
    image = lock.request.variants["default"].image.model_copy(update={"user": "root"})
    variant = lock.request.variants["default"].model_copy(update={"image": image})
    program.has(
        lock.model_copy(
            update={
                "targets": (lock.targets[0].model_copy(update={"user": root}),),
                "request": lock.request.model_copy(update={"variants": {"default": variant}}),
            }
        ),
        SPEC.replace("[image]\n", '[image]\nuser = "root"\n'),
    )
    assert program("devcontainer").code == 0
    assert value()["build"] == {"dockerfile": "Dockerfile"}
    assert value()["mounts"] == ["source=train-cache,target=/root/.cache,type=volume"]


@pytest.mark.parametrize(
    ("wish", "vendor", "requirement", "arguments"),
    [
        (None, "nvidia", "optional", ["--shm-size=8g"]),
        ("required", "nvidia", True, ["--shm-size=8g"]),
        ("none", "nvidia", None, None),
        (
            None,
            "amd",
            "optional",
            [
                "--device=/dev/kfd",
                "--device=/dev/dri",
                "--group-add=video",
                "--security-opt=seccomp=unconfined",
                "--shm-size=8g",
            ],
        ),
    ],
)
def test_gpus(program: Program, wish, vendor, requirement, arguments):
    program.has(with_gpu(vendor))
    if wish:
        program.spec.write_text(f'{SPEC}\n[devcontainer]\ngpu = "{wish}"\n')
    assert program("devcontainer").code == 0
    assert value().get("hostRequirements", {}).get("gpu") == requirement
    assert value().get("runArgs") == arguments
    assert ("--require-gpu" in value()["postCreateCommand"]["envbuild"]) == (wish == "required")
    jsonschema.Draft201909Validator(SCHEMA).validate(value())


def test_a_gpu_that_is_gone_takes_its_arguments_along_and_leaves_others(program: Program):
    program.has(with_gpu("amd"))
    program("devcontainer")
    FILE.write_text(jsonc.append_item(FILE.read_text(), ("runArgs",), "--init"))
    program.has(sample_lock())
    assert program("devcontainer").code == 0
    assert value()["runArgs"] == ["--init"]
    assert "hostRequirements" not in value()


def test_extensions_follow_locked_packages(program: Program):
    lock = sample_lock()
    kernel = wheel("ipykernel")
    target = lock.targets[0].model_copy(update={"wheels": (kernel.file, *lock.targets[0].wheels)})
    wheels = tuple(sorted((*lock.wheels, kernel), key=lambda item: item.file))
    program.has(lock.model_copy(update={"targets": (target,), "wheels": wheels}))
    assert program("devcontainer").code == 0
    assert value()["customizations"]["vscode"]["extensions"] == ["ms-python.python", "ms-toolsai.jupyter"]


def two_variants():
    lock = sample_lock()
    (target,) = lock.targets
    default = lock.request.variants["default"]
    request = lock.request.model_copy(update={"variants": {"cpu": default, "default": default}})
    cpu = target.model_copy(update={"variant": "cpu"})
    return lock.model_copy(update={"request": request, "targets": (cpu, target)})


def test_a_configuration_for_each_variant(program: Program):
    program.has(two_variants(), f"{SPEC}\n[variants.cpu.devcontainer]\nextensions = ['a.b']\n")
    assert program("devcontainer").code == 0
    cpu = Path(".devcontainer/cpu/devcontainer.json")
    assert value()["name"] == "train (default)"
    assert value(cpu)["name"] == "train (cpu)"
    assert value(cpu)["initializeCommand"] == {
        "envbuild": ["envbuild", "build", "--engine=docker", "--variant=cpu"]
    }
    assert value(cpu)["customizations"]["vscode"]["extensions"] == ["ms-python.python", "a.b"]
    assert program("devcontainer", "--variant=cpu", "--check").code == 0

    program.has(sample_lock())
    answer = program("devcontainer")
    assert ".devcontainer/cpu is of variant `cpu`, which is not locked; delete it" in answer.stderr
    assert cpu.exists()


def test_no_variant_of_that_name(locked: Program):
    assert locked("devcontainer", "--variant=gpu").code == 2
    assert not FILE.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_to(written: Program):  # pragma: no cover - CI is root
    _refuses_to_write(written)


def test_a_folder_that_must_not_be_written_to_as_the_system_says(written: Program, monkeypatch):
    """The answer of access(2) is played: tests run as root, whom nothing stops."""
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".devcontainer"))
    _refuses_to_write(written)


def _refuses_to_write(written: Program):
    before = FILE.read_bytes()
    FILE.parent.chmod(0o555)
    written.has(other_lock())
    answer = written("devcontainer")
    FILE.parent.chmod(0o755)
    assert answer.code == 1
    assert ".devcontainer: no permission to write" in answer.stderr
    assert FILE.read_bytes() == before
    assert [path.name for path in FILE.parent.iterdir()] == ["devcontainer.json"]


def test_a_read_only_file_is_not_replaced(written: Program, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".json"))
    written.has(other_lock())
    answer = written("devcontainer")
    assert answer.code == 1
    assert "devcontainer.json: no permission to write" in answer.stderr


def test_a_link_stays_one(locked: Program):
    FILE.parent.mkdir()
    Path("shared.json").write_text("{}\r\n")
    FILE.symlink_to("../shared.json")
    assert locked("devcontainer").code == 0
    assert FILE.is_symlink()
    assert value(Path("shared.json"))["remoteUser"] == "app"
    assert b'"remoteUser": "app",\r\n' in Path("shared.json").read_bytes()


def test_nonsense_in_the_record_counts_as_none(written: Program):
    for record in ("[]", '{"wrote": []}', '{"wrote": {"x": 1, "/image": 3, "/mounts": "a"}, "files": 1}'):
        text = FILE.read_text()
        FILE.write_text(jsonc.set_value(text, ("customizations", "envbuild"), json.loads(record)))
        assert written("devcontainer").code == 0
        assert value()["customizations"]["envbuild"]["target"].startswith("sha256:")


@pytest.mark.slow
def test_an_unreachable_registry_is_said_unless_the_image_is_built_here(program: Program):
    lock = sample_lock()
    repository = "127.0.0.1:9/team/train"
    request = lock.request.model_copy(update={"repository": repository})
    spec = SPEC.replace("[image]\n", f'[image]\nrepository = "{repository}"\n')
    program.has(lock.model_copy(update={"request": request}), spec)
    assert program("devcontainer").code == 9
    assert not FILE.exists()
    assert program("devcontainer", "--local").code == 0
    assert value()["image"].startswith(f"{repository}:")
    assert value()["initializeCommand"] == {"envbuild": ["envbuild", "build", "--engine=docker"]}


def test_features_that_need_no_registry(locked: Program):
    locked.spec.write_text(
        f'{SPEC}\n[devcontainer.features]\n"./tools" = {{}}\n"https://example.com/feature.tgz" = {{}}\n'
    )
    answer = locked("devcontainer")
    assert answer.code == 1
    assert "the feature `./tools` has no devcontainer-feature.json in" in answer.stderr
    assert not FILE.exists()
    folder = Path(".devcontainer/tools")
    folder.mkdir(parents=True)
    (folder / "devcontainer-feature.json").write_text('{"id": "tools", "version": "1.0.0"}')
    answer = locked("devcontainer")
    assert answer.code == 0
    assert "https://example.com/feature.tgz is pinned by the dev container CLI" in answer.stderr
    assert json.loads(Path(".devcontainer/devcontainer-lock.json").read_text()) == {"features": {}}


def test_a_feature_that_is_not_pinned_fails_the_check(written: Program):
    FILE.write_text(jsonc.set_value(FILE.read_text(), ("features",), {"127.0.0.1:9/a/b:1": {}}))
    features_lock = Path(".devcontainer/devcontainer-lock.json")
    for content in (
        None,
        '{"features": {}}\n',
        '{\n  "features": {}\n}\n',
        features_lock_of("ghcr.io/other/x:1"),
    ):
        if content is not None:
            features_lock.write_text(content)
        answer = written("devcontainer", "--check")
        assert (answer.code, answer.stdout) == (1, "")
        assert answer.stderr == (
            "error: the dev container is out of date\n"
            "  • .devcontainer/devcontainer-lock.json: feature `127.0.0.1:9/a/b:1` is not pinned\n\n"
            "hint: run `envbuild devcontainer`\n"
        )
    features_lock.write_text(features_lock_of("127.0.0.1:9/a/b:1"))
    assert written("devcontainer", "--check").code == 0
    features_lock.write_text("{]")
    assert "is not a lock of dev container features" in written("devcontainer", "--check").stderr


def features_lock_of(name, **more):
    pin = {"version": "1.0.0", "resolved": "x@sha256:0", "integrity": "sha256:0", **more}
    return json.dumps({"features": {name: pin}}, indent=2) + "\n"


def test_a_check_names_every_feature_without_a_pin_and_what_needs_it(written: Program):
    names = ("127.0.0.1:9/a/b:1", "./tools", "127.0.0.1:9/a/c:1", "127.0.0.1:9/a/d:1")
    features: dict[str, object] = {name: {} for name in names}
    FILE.write_text(jsonc.set_value(FILE.read_text(), ("features",), features))
    folder = Path(".devcontainer/tools")
    folder.mkdir()
    (folder / "devcontainer-feature.json").write_text('{"dependsOn": {"127.0.0.1:9/a/f:1": {}}}')
    Path(".devcontainer/devcontainer-lock.json").write_text(
        features_lock_of("127.0.0.1:9/a/d:1", dependsOn=["127.0.0.1:9/a/e:1"])
    )

    answer = written("devcontainer", "--check")

    shown = "  • .devcontainer/devcontainer-lock.json: feature"
    assert (answer.code, answer.stderr.splitlines()[1:-2]) == (
        1,
        [
            f"{shown} `127.0.0.1:9/a/f:1` is not pinned, and `./tools` needs it",
            f"{shown} `127.0.0.1:9/a/b:1` is not pinned",
            f"{shown} `127.0.0.1:9/a/c:1` is not pinned",
            f"{shown} `127.0.0.1:9/a/e:1` is not pinned, and `127.0.0.1:9/a/d:1` needs it",
        ],
    )


def test_a_check_passes_features_that_no_registry_pins(locked: Program):
    locked.spec.write_text(
        f"{SPEC}\n[devcontainer.features]\n"
        '"https://example.com/feature.tgz" = {}\n"127.0.0.1:9/a/b:1" = {}\n'
    )
    FILE.parent.mkdir()
    Path(".devcontainer/devcontainer-lock.json").write_text(features_lock_of("127.0.0.1:9/a/b:1"))
    assert locked("devcontainer").code == 0

    assert locked("devcontainer", "--check").code == 0


def test_a_check_replaces_nothing(locked: Program):
    assert locked("devcontainer", "--check", "--replace").code == 2
