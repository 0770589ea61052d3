"""Single values: each wrong one is refused at its place, in words that say what to write instead."""

import re
from datetime import date
from pathlib import Path

import pytest

from envbuild.errors import Problem, SpecError
from envbuild.spec.load import read_spec
from envbuild.spec.model import Spec

NAME_HINT = "lower-case letters and digits, with single `.`, `_` or `-` between them"
SHARED = "is the same for all variants; set it outside them"


def problems_of(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    path = tmp_path / "envbuild.toml"
    head = {"name": 'name = "train"', "python": 'python = "3.11"'}
    lines = [line for key, line in head.items() if not re.search(rf"^{key}\b", text, re.MULTILINE)]
    path.write_text("\n".join([*lines, text]))
    with pytest.raises(SpecError) as caught:
        read_spec(path).checked()
    return caught.value.problems


def spec_of(text: str, tmp_path: Path) -> Spec:
    path = tmp_path / "envbuild.toml"
    path.write_text('name = "train"\npython = "3.11"\n' + text)
    return read_spec(path).checked()


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        # name and Python
        ('name = "My Env"', "name", "`My Env` cannot name an image", f"{NAME_HINT}: `my-env`"),
        ('name = "é"', "name", "`é` cannot name an image", NAME_HINT),
        ('name = ["x"]', "name", "must be a string, not a list", None),
        ("python = 3.10", "python", "must be a string, not a number", 'quote it: python = "3.10"'),
        ("python = 3", "python", "must be a string, not a number", 'quote it: python = "3"'),
        ('python = "3.9"', "python", "Python 3.9 is not supported", "3.10 to 3.14 are"),
        (
            'python = ">=3.11"',
            "python",
            "`>=3.11` is not one Python version",
            'write one release, such as "3.11" or "3.11.9"',
        ),
        # platforms, snapshot, variants
        ('platforms = ["amd64"]', "platforms[0]", "unknown platform `amd64`", "write `linux/amd64`"),
        (
            'platforms = ["linux/aarch64"]',
            "platforms[0]",
            "unknown platform `linux/aarch64`",
            "write `linux/arm64`",
        ),
        (
            'platforms = ["win"]',
            "platforms[0]",
            "unknown platform `win`",
            "one of `linux/amd64` or `linux/arm64`",
        ),
        ("platforms = [3]", "platforms[0]", "must be `linux/amd64` or `linux/arm64`", None),
        ("platforms = []", "platforms", "must not be empty", None),
        ('platforms = "linux/amd64"', "platforms", "must be a list, not a string", 'write `["linux/amd64"]`'),
        ('snapshot = "1 Nov"', "snapshot", "must be a day", "write it as 2026-11-01"),
        ("snapshot = 2026-11-01T00:00:00Z", "snapshot", "must be a day", "write it as 2026-11-01"),
        ("snapshot = 20261101", "snapshot", "must be a day", "write it as 2026-11-01"),
        ('snapshot = "2026-02-30"', "snapshot", "there is no day 2026-02-30", None),
        ('default-variant = "A"', "default-variant", "`A` cannot name an image", f"{NAME_HINT}: `a`"),
        ("[variants.CPU]", "variants.CPU", "`CPU` cannot name an image", f"{NAME_HINT}: `cpu`"),
        (
            "variants = 3",
            "variants",
            "must be a table, not a number",
            "write `[variants]` and its keys below",
        ),
        # base
        (
            "[base]",
            "base",
            "needs exactly one of `image` and `packages`; neither is there",
            "leave [base] out to get the default image of your Python",
        ),
        (
            '[base]\nimage = "a:b"\npackages = "debian:trixie"',
            "base",
            "needs exactly one of `image` and `packages`; both are there",
            None,
        ),
        ('[base]\nimage = "python"', "base.image", "`python` names no tag", "add one: `python:…`"),
        (
            '[base]\nimage = "h:5000/python"',
            "base.image",
            "`h:5000/python` names no tag",
            "add one: `h:5000/python:…`",
        ),
        (
            '[base]\nimage = "https://h/python:3"',
            "base.image",
            "an image reference has no scheme",
            "write `h/python:3`",
        ),
        (
            '[base]\nimage = "Python:3"',
            "base.image",
            "`Python:3` is not an image reference",
            "write it as `registry/name:tag`",
        ),
        (
            '[base]\npackages = "debian:bookwrom"',
            "base.packages",
            "unknown distribution `debian:bookwrom`",
            "did you mean `debian:bookworm`?",
        ),
        (
            '[base]\npackages = "arch"',
            "base.packages",
            "unknown distribution `arch`",
            "one of `debian:bookworm` or `debian:trixie`",
        ),
        # pip
        ('[pip]\npackages = "numpy"', "pip.packages", "must be a list, not a string", 'write `["numpy"]`'),
        (
            '[pip]\npackages = ["numpy", 3.10]',
            "pip.packages[1]",
            "must be a string, not a number",
            'quote it: "3.10"',
        ),
        (
            '[pip]\npackages = ["torch=2.0"]',
            "pip.packages[0]",
            "`torch=2.0` is not a requirement",
            "write `torch==2.0`",
        ),
        ('[pip]\nrequirements = [""]', "pip.requirements[0]", "is empty", None),
        ('[pip]\nproject = "yes"', "pip.project", "must be true or false, not a string", None),
        ("[pip]\nproject = 1", "pip.project", "must be true or false, not a number", None),
        (
            '[pip]\nresolver = "pip-tool"',
            "pip.resolver",
            "must be `uv` or `pip-tools`",
            "did you mean `pip-tools`?",
        ),
        (
            '[pip]\nindexes = { default = "https://h" }',
            "pip.indexes.default",
            "`default` is the client's own index",
            "choose another name; the lock calls it that",
        ),
        (
            '[pip]\nindexes = { "A b" = "https://h" }',
            'pip.indexes."A b"',
            "`A b` cannot name an index",
            "lower-case letters and digits, with single `-` between them",
        ),
        (
            '[pip]\nindexes = { a = "h/simple" }',
            "pip.indexes.a",
            "is not an address",
            "write the index's simple address: https://index.example.com/simple",
        ),
        ('[pip]\nindexes = { a = "https://[::1" }', "pip.indexes.a", "is not an address", None),
        (
            '[pip]\nindexes = { a = "https://h/s?token=x" }',
            "pip.indexes.a",
            "contains a query or a fragment",
            "write the plain address of the index",
        ),
        ('[pip]\nsources = { "a/b" = "x" }', 'pip.sources."a/b"', "`a/b` is not a package name", None),
        (
            '[pip]\nsources = { Torch = "x", torch = "x" }',
            "pip.sources",
            "`torch` is there 2 times in different spellings",
            None,
        ),
        (
            "[pip]\nsources = 3",
            "pip.sources",
            "must be a table, not a number",
            "write `[pip.sources]` and its keys below",
        ),
        # system
        (
            '[system]\npackages = ["Git"]',
            "system.packages[0]",
            "`Git` is not a package name of the distribution",
            "a name, or `name=version`: `git`",
        ),
        (
            '[system]\npackages = ["git >= 2"]',
            "system.packages[0]",
            "`git >= 2` is not a package name of the distribution",
            "a name, or `name=version`: `git`",
        ),
        (
            '[system]\npackages = ["é"]',
            "system.packages[0]",
            "`é` is not a package name of the distribution",
            None,
        ),
        (
            '[system]\npackages = ["libc6:i386"]',
            "system.packages[0]",
            "`libc6:i386` names an architecture",
            "the platform decides it; write `libc6`",
        ),
        (
            '[system]\npackages = ["git/backports"]',
            "system.packages[0]",
            "`git/backports` names a suite",
            "the base's sources decide it; write `git`",
        ),
        # image
        (
            '[image]\nenv = { "A-B" = "x" }',
            "image.env.A-B",
            "`A-B` cannot name an environment variable",
            "letters, digits and `_`, no digit first",
        ),
        (
            "[image]\nenv = { OMP = 4 }",
            "image.env.OMP",
            "must be a string, not a number",
            'quote it: OMP = "4"',
        ),
        ("[image]\nenv = { A = true }", "image.env.A", "must be a string, not true", 'quote it: A = "true"'),
        (
            '[image]\nenv = { A = "x\\ny" }',
            "image.env.A",
            "contains a line break or another control character",
            None,
        ),
        (
            '[image]\nuser = "1000"',
            "image.user",
            "`1000` is a number",
            "write a name; the lock fixes its uid",
        ),
        (
            '[image]\nuser = "-x"',
            "image.user",
            "`-x` cannot name a user",
            "letters, digits, `.`, `_` and `-`, no `-` first, at most 32 characters",
        ),
        ('[image]\nworkdir = "work"', "image.workdir", "`work` is not absolute", "write `/work`"),
        ('[image]\nworkdir = "/a/../b"', "image.workdir", "`/a/../b` contains `..`", None),
        (
            '[image]\ncommand = "python"',
            "image.command",
            "must be a list, not a string",
            'write `["python"]`',
        ),
        ("[image]\ncommand = []", "image.command", "must not be empty", None),
        (
            '[image]\nrepository = "h:5000/x:1"',
            "image.repository",
            "`h:5000/x:1` names a tag",
            "envbuild writes the tag; keep `h:5000/x`",
        ),
        (
            '[image]\nrepository = "x@sha256:0"',
            "image.repository",
            "`x@sha256:0` names a tag",
            "envbuild writes the tag; keep `x`",
        ),
        (
            '[image]\nrepository = "https://h/x"',
            "image.repository",
            "`https://h/x` is not a repository",
            "write it as `registry.example.com/team/name`",
        ),
        # the rest
        ("[determinism]\nseed = -1", "determinism.seed", "must lie between 0 and 4294967295", None),
        ("[determinism]\nseed = 4294967296", "determinism.seed", "must lie between 0 and 4294967295", None),
        ("[determinism]\nseed = true", "determinism.seed", "must be a whole number, not true", None),
        ('[determinism]\nseed = "42"', "determinism.seed", "must be a whole number, not a string", None),
        ('[build]\nengine = "podman"', "build.engine", "must be `docker` or `local`", None),
        (
            "pip = false",
            "pip",
            "must be a table, not false",
            "leave the table out; only a variant can switch one off",
        ),
        ("[[pip]]", "pip", "must be a table, not a list", "write `[pip]` and its keys below"),
        (
            "variants.cpu.pip = true",
            "variants.cpu.pip",
            "must be a table, not true",
            "write `[variants.cpu.pip]` and its keys below",
        ),
        (
            "variants.cpu = 2026-11-01",
            "variants.cpu",
            "must be a table, not a date",
            "write `[variants.cpu]` and its keys below",
        ),
        (
            "variants.cpu = 10:00:00",
            "variants.cpu",
            "must be a table, not a time",
            "write `[variants.cpu]` and its keys below",
        ),
        (
            '[variants.cpu.system]\npackages = ["GIT"]',
            "variants.cpu.system.packages[0]",
            "`GIT` is not a package name of the distribution",
            "a name, or `name=version`: `git`",
        ),
        # gpu
        ('[gpu]\nvendor = "intel"', "gpu.vendor", "must be `nvidia` or `amd`", None),
        ("[gpu]\ncuda = 12.6", "gpu.cuda", "must be a string, not a number", 'quote it: cuda = "12.6"'),
        ('[gpu]\ncuda = "12"', "gpu.cuda", "`12` is not a CUDA version", 'write `auto`, or one as "12.6"'),
        (
            '[gpu]\ncuda = "cu128"',
            "gpu.cuda",
            "`cu128` is not a CUDA version",
            'write `auto`, or one as "12.8"',
        ),
        ('[gpu]\ntargets = ["9.0"]', "gpu.targets[0]", "`9.0` is a number", "write `sm_90`"),
        (
            '[gpu]\ntargets = ["compute_90"]',
            "gpu.targets[0]",
            "`compute_90` is a virtual architecture",
            "write `sm_90`",
        ),
        (
            '[gpu]\ndriver = "535"',
            "gpu.driver",
            "`535` is not a lower bound of driver versions",
            'write ">=535"',
        ),
        (
            '[gpu]\ndriver = "new"',
            "gpu.driver",
            "`new` is not a lower bound of driver versions",
            'write ">=535"',
        ),
        (
            '[base]\npackages = "debian:bookworm"\n[gpu]\nimage = "devel"',
            "gpu.image",
            "[base] is there, so this chooses nothing",
            "leave one of the two out",
        ),
        (
            '[base]\npackages = "debian:bookworm"\n[gpu]\nregistry = "registry.example.com"',
            "gpu.registry",
            "[base] is there, so nothing comes from it",
            "leave one of the two out",
        ),
        (
            '[gpu]\nregistry = "mirror"',
            "gpu.registry",
            "`mirror` is not a registry",
            "write its host, as in `registry.example.com/docker-hub`",
        ),
        (
            '[gpu]\nregistry = "https://registry.example.com"',
            "gpu.registry",
            "a registry has no scheme",
            "write `registry.example.com`",
        ),
        (
            '[gpu]\nvendor = "amd"\n[variants.a.gpu]\ncuda = "12.6"',
            "variants.a.gpu.cuda",
            "AMD's GPUs run no CUDA",
            "leave it out; the wheels' ROCm decides",
        ),
        # unknown keys
        ("pyton = 3", "pyton", "unknown key", "did you mean `python`?"),
        ("default_variant = 3", "default_variant", "unknown key", "did you mean `default-variant`?"),
        ("seed = 3", "seed", "unknown key", "it belongs in [determinism]"),
        (
            'packages = ["x"]',
            "packages",
            "unknown key",
            "it belongs in [base] or [pip] or [system] or [conda]",
        ),
        ("[system]\nzzz = 1", "system.zzz", "unknown key", "known here: files, packages"),
        ("variants.cpu.platforms = []", "variants.cpu.platforms", "unknown key", f"`platforms` {SHARED}"),
        (
            'variants.cpu.image.repository = "x"',
            "variants.cpu.image.repository",
            "unknown key",
            f"`repository` {SHARED}",
        ),
        (
            "variants.cpu.pip.package = []",
            "variants.cpu.pip.package",
            "unknown key",
            "did you mean `packages`?",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    tmp_path: Path, text: str, where: str, message: str, hint: str | None
) -> None:
    assert problems_of(tmp_path, text) == (Problem(where, message, hint),)


@pytest.mark.parametrize(
    "text",
    [
        '[pip]\nindexes = { a = "https://user:s3cret@h/simple" }\nsources = { x = "a" }',
        '[pip]\nindexes = { a = "https://h/simple?token=s3cret" }',
        '[pip]\npackages = ["x @ git+https://s3cret@h/x", "https://u:s3cret@h/x.tar.gz?s3cret=s3cret#s3cret"]',
        '[image]\nenv = { TOKEN = "s3cret\\n" }',
        '[image]\nenv = { TOKEN = "s3cret" }\nTOKEN = "s3cret"',
        'name = "x\nTOKEN = "s3cret"',
    ],
)
def test_no_secret_is_repeated(tmp_path: Path, text: str) -> None:
    shown = " ".join(f"{problem} {problem.hint}" for problem in problems_of(tmp_path, text))
    assert shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("snapshot = 2026-11-01", "snapshot", date(2026, 11, 1)),
        ('snapshot = "2026-11-01"', "snapshot", date(2026, 11, 1)),
        ('base.image = "python:3.11"', "base.image", "python:3.11"),
        ('base.image = "h:5000/a/b:1.2-x"', "base.image", "h:5000/a/b:1.2-x"),
        ('base.image = "[::1]:5000/a:1"', "base.image", "[::1]:5000/a:1"),
        (f'base.image = "a@sha256:{"0" * 64}"', "base.image", f"a@sha256:{'0' * 64}"),
        ('image.repository = "localhost:5000/a/b__c"', "image.repository", "localhost:5000/a/b__c"),
        ('image.user = "root"', "image.user", "root"),
        ('image.workdir = "/a//b/./c/"', "image.workdir", "/a/b/c"),
        ('image.workdir = "//a"', "image.workdir", "/a"),
        ('image.workdir = "/"', "image.workdir", "/"),
        ('image.env = { _a1 = "" }', "image.env", {"_a1": ""}),
        ("determinism.seed = 4294967295", "determinism.seed", 4294967295),
        ("determinism.seed = 0", "determinism.seed", 0),
        # newer than any CUDA the catalogue knows
        ('gpu.cuda = "21.4"', "gpu.cuda", "21.4"),
        (
            'system.packages = ["g++", "git=1:2.39.5-0+deb12u2"]',
            "system.packages",
            ("g++", "git=1:2.39.5-0+deb12u2"),
        ),
        (
            'pip.indexes = { a = "HTTPS://Index.Example.com:8443/Simple/" }\npip.sources = { My_Pkg = "a" }',
            "pip.indexes",
            {"a": "https://index.example.com:8443/Simple"},
        ),
        (
            'pip.indexes = { a = "http://[::1]:80/" }\npip.sources = { My_Pkg = "a" }',
            "pip.indexes",
            {"a": "http://[::1]:80"},
        ),
        ('pip.sources = { My_Pkg = "default" }', "pip.sources", {"my-pkg": "default"}),
    ],
)
def test_right_values_in_their_one_spelling(tmp_path: Path, text: str, key: str, value: object) -> None:
    found: object = spec_of(text, tmp_path)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.11.0", "3.12.11", "3.13", "3.14", "3.14.10"])
def test_supported_pythons(tmp_path: Path, python: str) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(f'name = "a"\npython = "{python}"\n')
    assert read_spec(path).checked().python == python


@pytest.mark.parametrize("name", ["a", "a-b", "a--b", "a.b", "a_b", "a__b", "0a"])
def test_names_that_can_be_repository_components(tmp_path: Path, name: str) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(f'name = "{name}"\npython = "3.11"\n')
    assert read_spec(path).checked().name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a..b", "a___b", "A", "a/b", "a:b", "a\\n"])
def test_names_that_cannot(tmp_path: Path, name: str) -> None:
    assert [problem.where for problem in problems_of(tmp_path, f'name = "{name}"')] == ["name"]
