"""The configuration of an image, field by field."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from envbuild.errors import EnvbuildError
from envbuild.image.facts import facts_of_config
from envbuild.lock.model import Lock
from envbuild.render import labels
from envbuild.verify.checks.report import CheckResult, Profile
from envbuild.verify.configuration import compare_configuration, expected_configuration
from tests.rig.locks import digest, image_base, sample_lock

Document = dict[str, Any]
Change = Callable[[Document], object]

BASE: Document = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
        "Labels": {"maintainer": "somebody"},
        "StopSignal": "SIGQUIT",
        "Entrypoint": ["/entry"],
        "OnBuild": ["RUN true"],
        "ExposedPorts": {"80/tcp": {}},
    },
}
IMAGE_LOCK, PACKAGES_LOCK = sample_lock(image_base()), sample_lock()


def sound(lock: Lock = IMAGE_LOCK, base: Document | None = BASE, *, engine: str = "docker") -> Document:
    """Return the configuration of the image that `lock` makes, as an engine stores it."""
    expected = expected_configuration(lock, lock.targets[0], base if lock.bases[0].image else None)
    settings = json.loads(json.dumps(expected.settings))
    settings["Labels"][labels.ENGINE] = engine
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": expected.created,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [*expected.base_diff_ids, digest("ours")]},
        "history": [{"created_by": "envbuild"}],
    }


def compare(
    document: Document,
    *,
    lock: Lock = IMAGE_LOCK,
    base: Document | None = BASE,
    profile: Profile = "image",
    stored: bool = True,
) -> tuple[CheckResult, ...]:
    facts = facts_of_config(json.dumps(document).encode(), identifier=digest("image"))
    return compare_configuration(
        expected_configuration(lock, lock.targets[0], base),
        facts,
        document=document if stored else None,
        profile=profile,
    )


def changed(*changes: Change, document: Document | None = None) -> Document:
    made = json.loads(json.dumps(sound() if document is None else document))
    for change in changes:
        change(made)
    return dict(made)


def setting(name: str, value: Any) -> Change:
    return lambda document: document["config"].update({name: value})


def without(name: str) -> Change:
    return lambda document: document["config"].pop(name)


def top(name: str, value: Any) -> Change:
    return lambda document: document.update({name: value})


def label(name: str, value: Any) -> Change:
    return lambda document: document["config"]["Labels"].update({name: value})


def variables(change: Callable[[list[Any]], object]) -> Change:
    return lambda document: change(document["config"]["Env"])


def told(results: tuple[CheckResult, ...]) -> list[tuple[str, str, str]]:
    return [(item.outcome, item.id, item.difference) for item in results if item.outcome != "passed"]


@pytest.mark.parametrize("engine", ["docker", "local"])
@pytest.mark.parametrize("profile", ["image", "devcontainer"])
def test_a_sound_configuration_passes(engine: str, profile: Profile) -> None:
    results = compare(sound(engine=engine), profile=profile)
    assert told(results) == []
    assert {result.evidence for result in results} == {"stored"}
    assert {result.group for result in results} == {"configuration"}
    assert len({result.id for result in results}) == len(results)


def test_a_sound_configuration_of_a_base_of_packages_passes() -> None:
    results = compare(sound(PACKAGES_LOCK), lock=PACKAGES_LOCK, base=None)
    assert told(results) == []
    assert "base-layers" not in {result.id for result in results}


def test_every_setting_has_a_result() -> None:
    ids = {result.id for result in compare(sound())}
    assert ids >= {
        "image/architecture", "image/os", "image/variant", "image/created", "image/user", "image/workdir",
        "image/command", "image/StopSignal", "image/ExposedPorts", "base-layers",
        "image/env/PATH", "label/maintainer", "label/dev.envbuild.target", "label/dev.envbuild.engine",
    }  # fmt: skip
    assert "image/entrypoint" not in ids, "neither side has one"


def test_what_is_empty_is_as_good_as_absent() -> None:
    """Engines write fields that are not set in several ways."""
    empty = changed(
        setting("Entrypoint", None), setting("Volumes", {}), setting("OnBuild", []), setting("Shell", None),
        setting("Healthcheck", {}), setting("Domainname", ""), top("variant", ""),
        top("container_config", {}), top("docker_version", ""),
    )  # fmt: skip
    assert told(compare(empty)) == []


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Volumes", {"/data": None}, '{"/data": null}'),
        ("Volumes", {"/data": {}}, '{"/data": {}}'),
        ("Volumes", {"": {}}, '{"": {}}'),
        ("Healthcheck", {"Test": []}, '{"Test": []}'),
        ("Healthcheck", {"Test": None}, '{"Test": null}'),
        ("OnBuild", [""], '[""]'),
        ("OnBuild", [None], "[null]"),
        ("Shell", [""], '[""]'),
    ],
)
@pytest.mark.parametrize("base", [BASE, None], ids=["base", "no base"])
def test_what_only_holds_nothing_is_something(
    name: str, value: Any, shown: str, base: Document | None
) -> None:
    """Only a whole value is nothing: to engines `{"/data": null}` is a volume."""
    results = compare(changed(setting(name, value)), base=base)
    (one,) = (item for item in results if item.id == f"image/{name}")
    assert (one.title, one.found) == (f"image {name}", shown)
    assert one.outcome == ("skipped" if base is None else "failed")


@pytest.mark.parametrize("value", [None, {}, {"80/tcp": None}, {"80/tcp": {}, "81/tcp": {}}], ids=repr)
def test_a_locked_setting_is_compared_as_a_whole(value: Any) -> None:
    (one,) = (item for item in compare(changed(setting("ExposedPorts", value))) if item.outcome != "passed")
    assert (one.id, one.outcome, one.expected) == ("image/ExposedPorts", "failed", '{"80/tcp": {}}')
    assert one.found == (json.dumps(value) if value else "missing")


def test_an_entrypoint_has_a_result_where_there_is_one() -> None:
    results = {item.id: item for item in compare(changed(setting("Entrypoint", ["/init"])))}
    assert results["image/entrypoint"].found == "/init"
    nothing: tuple[Any, ...] = (None, [], "")
    for value in nothing:
        ids = {item.id for item in compare(changed(setting("Entrypoint", value)))}
        assert "image/entrypoint" not in ids


STRICT = {
    "architecture": (top("architecture", "arm64"), "image/architecture", "amd64 → arm64"),
    "os": (top("os", "windows"), "image/os", "linux → windows"),
    "variant": (top("variant", "v3"), "image/variant", "none → v3"),
    "created": (top("created", "2020-01-01T00:00:00Z"), "image/created", "→ 2020-01-01T00:00:00Z"),
    "created, no time": (top("created", "soon"), "image/created", "→ soon"),
    "variable changed": (
        variables(lambda env: env.__setitem__(env.index("PYTHONHASHSEED=7"), "PYTHONHASHSEED=8")),
        "image/env/PYTHONHASHSEED",
        "7 → 8",
    ),
    "variable missing": (
        variables(lambda env: env.remove("PYTHONHASHSEED=7")),
        "image/env/PYTHONHASHSEED",
        "7 → missing",
    ),
    "label changed": (label(labels.TARGET, "sha256:0"), f"label/{labels.TARGET}", "→ sha256:0"),
    "label of the base changed": (label("maintainer", "me"), "label/maintainer", "somebody → me"),
    "engine unknown": (label(labels.ENGINE, "other"), f"label/{labels.ENGINE}", "docker or local → other"),
    "no labels": (without("Labels"), "label/maintainer", "somebody → missing"),
    "no variables": (without("Env"), "image/env/PYTHONHASHSEED", "7 → missing"),
    "stop signal changed": (setting("StopSignal", "SIGKILL"), "image/StopSignal", "SIGQUIT → SIGKILL"),
    "stop signal missing": (without("StopSignal"), "image/StopSignal", "SIGQUIT → missing"),
    "ports": (setting("ExposedPorts", {"22/tcp": {}}), "image/ExposedPorts", "22/tcp"),
    "base layers": (
        top("rootfs", {"diff_ids": [digest("other"), digest("ours")]}),
        "base-layers",
        "1 layer of the locked base → 0 of them",
    ),
    "no layers": (top("rootfs", {}), "base-layers", "→ 0 of them"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "key", "difference"), STRICT.values(), ids=STRICT)
@pytest.mark.parametrize("profile", ["image", "devcontainer"])
def test_what_is_locked_must_be_as_locked(
    change: Change, key: str, difference: str, profile: Profile
) -> None:
    """In a dev container too."""
    differing = {
        name: (outcome, text) for outcome, name, text in told(compare(changed(change), profile=profile))
    }
    assert differing[key][0] == "failed"
    assert difference in differing[key][1]


EXTRA = {
    "variable": (variables(lambda env: env.append("LD_PRELOAD=/tmp/x.so")), "env/LD_PRELOAD"),
    "no variable": (variables(lambda env: env.append("nothing")), "env/nothing"),
    "label": (label("com.example.note", "x"), "label/com.example.note"),
    "volume": (setting("Volumes", {"/data": {}}), "image/Volumes"),
    "shell": (setting("Shell", ["/bin/bash"]), "image/Shell"),
    "health check": (setting("Healthcheck", {"Test": ["CMD", "evil"]}), "image/Healthcheck"),
    "trigger": (setting("OnBuild", ["RUN evil"]), "image/OnBuild"),
    "unknown": (setting("StopTimeout", 5), "image/StopTimeout"),
    "unknown false": (setting("Novel", False), "image/Novel"),
    "unknown zero": (setting("Novel", 0), "image/Novel"),
    "unknown at the top": (top("os.features", ["x"]), "image/os.features"),
    "of containers, and not empty": (setting("Hostname", "evil"), "image/Hostname"),
    "of containers, true": (setting("Tty", True), "image/Tty"),
    "escaped": (setting("ArgsEscaped", "yes"), "image/ArgsEscaped"),
}


@pytest.mark.parametrize(("change", "key"), EXTRA.values(), ids=EXTRA)
@pytest.mark.parametrize(("profile", "outcome"), [("image", "failed"), ("devcontainer", "warned")])
def test_what_is_not_locked_is_named(change: Change, key: str, profile: Profile, outcome: str) -> None:
    found = told(compare(changed(change), profile=profile))
    assert [(result, name) for result, name, _ in found] == [(outcome, key)]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (setting("User", ""), "image/user"),
        (setting("User", "0:0"), "image/user"),
        (setting("User", "1000:0"), "image/user"),
        (setting("User", "app"), "image/user"),
        (setting("WorkingDir", "/elsewhere"), "image/workdir"),
        (setting("Cmd", ["sleep"]), "image/command"),
        (setting("Cmd", None), "image/command"),
        (setting("Entrypoint", ["/init"]), "image/entrypoint"),
    ],
)
def test_what_dev_containers_replace_only_warns_there(change: Change, key: str) -> None:
    for profile, outcome in (("image", "failed"), ("devcontainer", "warned")):
        found = told(compare(changed(change), profile=profile))  # type: ignore[arg-type]
        assert [(result, name) for result, name, _ in found] == [(outcome, key)]


@pytest.mark.parametrize(("name", "outcome"), [("LANG=xx", "warned"), ("PYTHONHASHSEED=8", "failed")])
def test_a_personal_variable_only_warns_in_a_dev_container(name: str, outcome: str) -> None:
    key = name.partition("=")[0]
    change = variables(
        lambda env: env.__setitem__(next(n for n, item in enumerate(env) if item.startswith(f"{key}=")), name)
    )
    ((found, _, _),) = told(compare(changed(change), profile="devcontainer"))
    assert found == outcome


def test_the_value_of_an_unexpected_variable_is_not_shown() -> None:
    results = compare(changed(variables(lambda env: env.append("API_KEY=hunter2"))))
    assert "hunter2" not in str(results)


@pytest.mark.parametrize("order", ["first", "last"])
def test_a_variable_that_is_set_twice_is_named(order: str) -> None:
    """Programs read the first, or the last."""
    place = 0 if order == "first" else 1000
    found = told(compare(changed(variables(lambda env: env.insert(place, "PYTHONHASHSEED=8")))))
    assert "env/PYTHONHASHSEED" in {key for _, key, _ in found}


def test_a_variable_that_is_set_twice_among_very_many_is_named() -> None:
    more = ["PYTHONHASHSEED=8", *(f"V{number}=1" for number in range(2000))]
    found = told(compare(changed(variables(lambda env: env.__setitem__(slice(0, 0), more)))))
    assert "env/PYTHONHASHSEED" in {key for _, key, _ in found}


def test_a_time_may_be_written_in_any_way() -> None:
    created = sound()["created"]
    assert told(compare(changed(top("created", created.replace("Z", "+00:00"))))) == []


def test_the_user_may_be_named_without_its_group() -> None:
    assert told(compare(changed(setting("User", "1000")))) == []


def test_buildkit_says_that_arguments_are_escaped() -> None:
    assert told(compare(changed(setting("ArgsEscaped", True)))) == []


@pytest.mark.parametrize("value", ["yes", "true", 1, False, None, {}], ids=repr)
def test_buildkit_says_no_more_than_that(value: Any) -> None:
    assert [key for _, key, _ in told(compare(changed(setting("ArgsEscaped", value))))] == (
        [] if value in (None, {}) else ["image/ArgsEscaped"]
    )


@pytest.mark.parametrize("value", ["local", "other", None])
def test_only_images_of_buildkit_say_that_arguments_are_escaped(value: str | None) -> None:
    """The local engine writes no such field, and an unknown engine is not believed."""
    document = changed(setting("ArgsEscaped", True), label(labels.ENGINE, value))
    found = [(outcome, key) for outcome, key, _ in told(compare(document))]
    assert ("failed", "image/ArgsEscaped") in found


def test_fields_of_containers_mean_nothing_when_they_are_empty() -> None:
    fields = {"Hostname": "", "Tty": False, "AttachStdin": False, "Image": "", "OpenStdin": None}
    assert told(compare(changed(*(setting(name, value) for name, value in fields.items())))) == []


def test_an_engine_tells_settings_and_layers_without_the_rest() -> None:
    results = compare(changed(top("os", "windows"), top("novel", "x")), stored=False)
    assert told(results) == []
    assert not {"image/os", "image/created", "image/variant"} & {result.id for result in results}


def test_a_base_that_is_not_at_hand_leaves_what_it_may_bring_open() -> None:
    """Neither passed nor failed: nobody can say whose it is.  What the lock itself sets is compared."""
    found = told(compare(changed(label("com.example.note", "x")), base=None))
    assert {outcome for outcome, _, _ in found} == {"skipped"}
    assert {key for _, key, _ in found} >= {
        "label/com.example.note", "label/maintainer", "image/StopSignal", "image/ExposedPorts"
    }  # fmt: skip
    (one,) = (item for item in compare(sound(), base=None) if item.id == "image/StopSignal")
    assert one.reason == "the configuration of the base is not at hand"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (variables(lambda env: env.append("LD_PRELOAD=/x")), "env/LD_PRELOAD"),
        (label(labels.TARGET, "x"), f"label/{labels.TARGET}"),
        (setting("Entrypoint", ["/init"]), "image/entrypoint"),
        (setting("Cmd", ["sh"]), "image/command"),
    ],
)
def test_what_no_base_may_bring_fails_all_the_same(change: Change, key: str) -> None:
    found = [(name, outcome) for outcome, name, _ in told(compare(changed(change), base=None))]
    assert (key, "failed") in found


def test_more_layers_of_a_base_than_the_image_has_are_told() -> None:
    (one,) = (item for item in compare(changed(top("rootfs", {}))) if item.id == "base-layers")
    assert one.reason == f"layer 1 should be {digest('diff')}, the image has no more layers"


JUNK: tuple[Any, ...] = (
    None,
    True,
    5,
    1.5,
    "text",
    [],
    [5],
    [None],
    [[]],
    {},
    {"a": 5},
    {"a": {"b": [None]}},
)
FIELDS = (
    "Env", "Labels", "User", "WorkingDir", "Cmd", "Entrypoint", "StopSignal", "ExposedPorts", "Volumes",
    "Healthcheck", "OnBuild", "ArgsEscaped", "Tty", "Novel",
)  # fmt: skip


@pytest.mark.parametrize("value", JUNK, ids=repr)
@pytest.mark.parametrize("stored", [True, False])
def test_junk_is_a_difference_or_an_error_of_ours(value: Any, *, stored: bool) -> None:
    """Every field once, whatever type it has."""
    changes: Mapping[str, Change] = {
        **{name: setting(name, value) for name in FIELDS},
        **{f"top {name}": top(name, value) for name in ("architecture", "os", "variant", "created", "novel")},
        "rootfs": top("rootfs", value),
        "label": label("maintainer", value),
        "label of the engine": label(labels.ENGINE, value),
        "variable": variables(lambda env: env.append(value)),
        "config": top("config", value),
    }
    for change in changes.values():
        for profile in ("image", "devcontainer"):
            for base in (BASE, None):
                try:
                    results = compare(changed(change), base=base, profile=profile, stored=stored)
                except EnvbuildError:
                    continue
                assert all(isinstance(result.difference, str) for result in results)


def test_what_a_base_hands_on_is_known_from_the_reference_too() -> None:
    """Where the base's own configuration is not at hand, nothing of the image's is left open."""
    target = IMAGE_LOCK.targets[0]
    known = expected_configuration(IMAGE_LOCK, target, {"config": {"StopSignal": "SIGINT"}, "variant": "v8"})
    made = {"config": {**known.settings, "Labels": {**known.settings["Labels"]}}, "variant": "v8"}
    assert expected_configuration(IMAGE_LOCK, target, None).inherits
    assert expected_configuration(IMAGE_LOCK, target, None, reference=made) == known
