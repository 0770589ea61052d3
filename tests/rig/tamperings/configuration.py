"""The image's configuration says something else: what engines do with the image before a file is read."""

import json
import re
from collections.abc import Callable

from tests.rig.tampering import Change, Config, Klass, Tampering, field_pattern, setting

CONFIGURED = Klass("configuration")
PLATFORM = Klass("platform")
WRITTEN = Klass("how the configuration is written")
TARGET = "dev.envbuild.target"


def variable(name: str, value: str) -> Callable[[Config], object]:
    """Set a variable, in the place it has or at the end."""

    def edit(document: Config) -> None:
        env: list[str] = document["config"]["Env"]
        places = [number for number, item in enumerate(env) if item.startswith(f"{name}=")]
        if places:
            env[places[0]] = f"{name}={value}"
        else:
            env.append(f"{name}={value}")

    return edit


def label(name: str, value: str) -> Callable[[Config], object]:
    return lambda document: document["config"]["Labels"].update({name: value})


def raw(text: bytes) -> Callable[[bytes], bytes]:
    """Put a member first in `config`, whatever else is there."""
    return lambda data: data.replace(b'"config":{', b'"config":{' + text + b",", 1)


def raw_last(text: bytes) -> Callable[[bytes], bytes]:
    """Put a member last in `config`, whatever else is there."""

    def change(data: bytes) -> bytes:
        settings = json.dumps(json.loads(data)["config"], separators=(",", ":"), sort_keys=True).encode()
        assert settings in data
        return data.replace(settings, settings[:-1] + b"," + text + b"}", 1)

    return change


def raw_end(text: bytes) -> Callable[[bytes], bytes]:
    """Put a member last in the whole document."""
    return lambda data: data[:-1] + b"," + text + b"}"


def rootfs_of(data: bytes) -> bytes:
    return json.dumps(json.loads(data)["rootfs"]).encode()


EDITS = (
    CONFIGURED.configures(
        "a variable more", "GREETING", variable("GREETING", "hello"), at="config.Env.GREETING"
    ),
    CONFIGURED.configures(
        "PATH begins elsewhere",
        "PATH",
        lambda document: variable("PATH", f"/usr/local/bin:{_path(document)}")(document),
        at="config.Env.PATH",
    ),
    CONFIGURED.configures(
        "PATH in another order",
        "PATH",
        lambda document: variable("PATH", ":".join(reversed(_path(document).split(":"))))(document),
        at="config.Env.PATH",
    ),
    CONFIGURED.configures("LANG is another", "LANG", variable("LANG", "POSIX"), at="config.Env.LANG"),
    CONFIGURED.configures(
        "a library for every program",
        "LD_PRELOAD",
        variable("LD_PRELOAD", "/workspace/lie.so"),
        at="config.Env.LD_PRELOAD",
    ),
    CONFIGURED.configures(
        "a folder of libraries",
        "LD_LIBRARY_PATH",
        variable("LD_LIBRARY_PATH", "/workspace"),
        at="config.Env.LD_LIBRARY_PATH",
    ),
    CONFIGURED.configures(
        "a folder of modules", "PYTHONPATH", variable("PYTHONPATH", "/workspace"), at="config.Env.PYTHONPATH"
    ),
    CONFIGURED.configures(
        "a start-up file of Python",
        "PYTHONSTARTUP",
        variable("PYTHONSTARTUP", "/workspace/a.py"),
        at="config.Env.PYTHONSTARTUP",
    ),
    CONFIGURED.configures(
        "another index for pip",
        "PIP_INDEX_URL",
        variable("PIP_INDEX_URL", "https://index.invalid/simple"),
        at="config.Env.PIP_INDEX_URL",
    ),
    CONFIGURED.configures(
        "a proxy", "https_proxy", variable("https_proxy", "http://proxy.invalid"), at="config.Env.https_proxy"
    ),
    CONFIGURED.configures(
        "a variable that is there twice",
        "LANG",
        lambda document: document["config"]["Env"].append("LANG=POSIX"),
        at="config.Env.LANG",
    ),
    CONFIGURED.configures(
        "a variable with escapes",
        "GREETING",
        variable("GREETING", "\x1b[2J\x1b]0;owned\x07"),
        at="config.Env.GREETING",
    ),
    CONFIGURED.configures(
        "a variable is gone",
        "VIRTUAL_ENV",
        lambda document: document["config"]["Env"].remove("VIRTUAL_ENV=/opt/venv"),
        at="config.Env.VIRTUAL_ENV",
    ),
    CONFIGURED.configures("root is the user", "user", setting("User", "0:0"), at="config.User"),
    CONFIGURED.configures(
        "no user", "user", lambda document: document["config"].pop("User"), at="config.User"
    ),
    CONFIGURED.configures("another group", "user", setting("User", "1000:0"), at="config.User"),
    CONFIGURED.configures(
        "another working directory",
        "workdir",
        setting("WorkingDir", "/home/app"),
        at="config.WorkingDir",
        also="WorkingDir",
    ),
    CONFIGURED.configures(
        "another command", "command", setting("Cmd", ["python", "-c", "pass"]), at="config.Cmd", also="Cmd"
    ),
    CONFIGURED.configures(
        "an entrypoint", "entrypoint", setting("Entrypoint", ["/bin/sh", "-c"]), at="config.Entrypoint"
    ),
    CONFIGURED.configures(
        "a health check",
        "Healthcheck",
        setting("Healthcheck", {"Test": ["CMD-SHELL", "id"], "Interval": 1_000_000_000}),
    ),
    CONFIGURED.configures("steps of images on top", "OnBuild", setting("OnBuild", ["RUN id"])),
    CONFIGURED.configures("a signal to stop", "StopSignal", setting("StopSignal", "SIGWINCH")),
    CONFIGURED.configures("a time to stop", "StopTimeout", setting("StopTimeout", 1)),
    CONFIGURED.configures("a port", "ExposedPorts", setting("ExposedPorts", {"22/tcp": {}})),
    CONFIGURED.configures("a volume", "Volumes", setting("Volumes", {"/workspace": {}})),
    CONFIGURED.configures("a volume of null", "Volumes", setting("Volumes", {"/workspace": None})),
    CONFIGURED.configures("a shell", "Shell", setting("Shell", ["/bin/bash", "-c"])),
    CONFIGURED.configures("a network address", "MacAddress", setting("MacAddress", "02:42:ac:11:00:02")),
    CONFIGURED.configures("a host name", "Hostname", setting("Hostname", "evil")),
    CONFIGURED.configures("a terminal", "Tty", setting("Tty", True)),
    CONFIGURED.configures("open input", "OpenStdin", setting("OpenStdin", True)),
    CONFIGURED.configures("arguments escaped already", "ArgsEscaped", setting("ArgsEscaped", True)),
    CONFIGURED.configures("an unknown setting", "SomethingNew", setting("SomethingNew", "x")),
    CONFIGURED.configures(
        "an unknown field", "something.new", lambda document: document.update({"something.new": 1})
    ),
    CONFIGURED.configures("an author", "author", lambda document: document.update(author="somebody")),
    CONFIGURED.configures(
        "another date", "created", lambda document: document.update(created="2020-01-01T00:00:00Z")
    ),
    PLATFORM.configures(
        "another architecture", "architecture", lambda document: document.update(architecture="arm64")
    ),
    PLATFORM.configures("another system", "os", lambda document: document.update(os="freebsd")),
    PLATFORM.configures(
        "a variant of the architecture", "variant", lambda document: document.update(variant="v3")
    ),
    PLATFORM.configures(
        "features of the system", "os.features", lambda document: document.update({"os.features": ["win32k"]})
    ),
    CONFIGURED.configures(
        "the label of another target",
        TARGET,
        label(TARGET, f"sha256:{'0' * 64}"),
        at=f"config.Labels.{TARGET}",
    ),
    CONFIGURED.configures(
        "the label of another variant",
        "dev.envbuild.variant",
        label("dev.envbuild.variant", "gpu"),
        at="config.Labels.dev.envbuild.variant",
    ),
    CONFIGURED.configures(
        "the label of another engine",
        "dev.envbuild.engine",
        label("dev.envbuild.engine", "podman"),
        at="config.Labels.dev.envbuild.engine",
    ),
    CONFIGURED.configures(
        "the label of another title",
        "org.opencontainers.image.title",
        label("org.opencontainers.image.title", "train"),
        at="config.Labels.org.opencontainers.image.title",
    ),
    CONFIGURED.configures(
        "a label more",
        "org.example.trust",
        label("org.example.trust", "me"),
        at="config.Labels.org.example.trust",
    ),
    CONFIGURED.configures(
        "a label of ours that is none",
        "dev.envbuild.verified",
        label("dev.envbuild.verified", "true"),
        at="config.Labels.dev.envbuild.verified",
    ),
    CONFIGURED.configures(
        "the label of a base there is not",
        "org.opencontainers.image.base.name",
        label("org.opencontainers.image.base.name", "registry.invalid/base:1"),
        at="config.Labels.org.opencontainers.image.base.name",
    ),
    CONFIGURED.configures(
        "a dev container's settings",
        "devcontainer.metadata",
        label("devcontainer.metadata", '[{"privileged":true}]'),
        at="config.Labels.devcontainer.metadata",
    ),
    CONFIGURED.configures(
        "a label is gone",
        "org.opencontainers.image.version",
        lambda document: document["config"]["Labels"].pop("org.opencontainers.image.version"),
        at="config.Labels.org.opencontainers.image.version",
    ),
)

# Go reads names without regard to case, and the last of two counts: Docker obeys what others do not see
READ_OTHERWISE = tuple(
    WRITTEN.does(name, field_pattern(named) if isinstance(named, str) else named, make, at=at)
    for name, named, at, make in (
        (
            "an entrypoint in small letters",
            "entrypoint",
            "config.entrypoint",
            lambda _: Change(config=raw(b'"entrypoint":["/bin/sh"]')),
        ),
        (
            "a user in small letters",
            "user",
            "config.user",
            lambda _: Change(config=raw_last(b'"user":"0:0"')),
        ),
        (
            "variables in small letters",
            "env",
            "config.env",
            lambda _: Change(config=raw_last(b'"env":["PATH=/tmp"]')),
        ),
        (
            "a command in capitals",
            "cmd",
            "config.CMD",
            lambda _: Change(config=raw(b'"CMD":["/bin/sh"]')),
        ),
        (
            "labels in small letters",
            "labels",
            "config.labels",
            lambda _: Change(config=raw_last(b'"labels":{}')),
        ),
        (
            "a field with a long s",
            re.compile("u\u017fer|u\\\\u017fer"),
            "config.u\u017fer",
            lambda _: Change(config=raw_last('"u\u017fer":"0:0"'.encode())),
        ),
        (
            "layers in other letters",
            "rootfs",
            "RootFS",
            lambda _: Change(config=lambda data: raw_end(b'"RootFS":' + rootfs_of(data))(data)),
        ),
        (
            "a system in capitals",
            "os",
            "OS",
            lambda _: Change(config=raw_end(b'"OS":"freebsd"')),
        ),
        ("two users", "user", "config.User again", lambda _: Change(config=raw(b'"User":"0:0"'))),
    )
)

TAMPERINGS: tuple[Tampering, ...] = (*EDITS, *READ_OTHERWISE)


def _path(document: Config) -> str:
    (path,) = (item[5:] for item in document["config"]["Env"] if item.startswith("PATH="))
    return str(path)
