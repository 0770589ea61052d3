import json
import tomllib

import pytest

from tests.rig.index import PackageIndex, make_sdist, make_wheel
from tests.rig.program import Program

# each starts uv, the real one
pytestmark = pytest.mark.slow

TALK = "  base of default on linux/amd64\n  resolving Python packages with uv\n"
WHEEL_HINT = (
    "\nhint: only wheels are installed: allow another version, another Python, or a base with a newer libc\n"
)


@pytest.fixture
def published(package_index: PackageIndex) -> PackageIndex:
    """Put a few small distributions on the index."""
    folder = package_index.folder
    make_wheel(folder, "demo", "1.0")
    make_wheel(folder, "demo", "1.5", requires=["other<2"])
    make_wheel(folder, "other", "1.0")
    make_wheel(folder, "other", "2.0")
    make_wheel(folder, "elsewhere", "1.0", tag="cp311-cp311-win_amd64")
    make_wheel(folder, "newer-libc", "1.0", tag="cp311-cp311-manylinux_2_39_x86_64")
    make_sdist(folder, "sources", "1.0")
    return package_index


@pytest.mark.parametrize(
    ("requirements", "said"),
    [
        pytest.param(
            ["demo>=9"],
            "error: no version of `demo` is >=9; the newest on the index is 1.5\n"
            "  | Because only demo<=1.5 is available and you require demo>=9, we can conclude that your "
            "requirements are unsatisfiable.\n"
            "\nhint: allow a version that exists\n",
            id="no-such-version",
        ),
        pytest.param(
            ["unheard-of"],
            "error: `unheard-of` is not on the index {index}\n"
            "  | Because unheard-of was not found in the package registry and you require unheard-of, we can "
            "conclude that your requirements are unsatisfiable.\n"
            "\nhint: check the spelling; a package of another index must be bound to it in [pip] sources\n",
            id="no-such-distribution",
        ),
        pytest.param(
            ["elsewhere"],
            "error: `elsewhere` 1.0 cannot be installed: the index has only wheels of it for win_amd64, not "
            "for x86_64 with glibc 2.36\n{words}" + WHEEL_HINT,
            id="other-platforms-only",
        ),
        pytest.param(
            ["newer-libc"],
            "error: `newer-libc` 1.0 cannot be installed: the index has only wheels of it that need glibc "
            "2.39 or newer; the base has 2.36\n{words}" + WHEEL_HINT,
            id="newer-libc-only",
        ),
    ],
)
def test_what_no_index_has_is_explained(
    with_index: Program, published: PackageIndex, requirements: list[str], said: str
):
    with_index.asks_for(*requirements)
    before = with_index.lock.read_bytes()

    answer = with_index("lock")

    # the resolver's own words, where ours already say it all
    words = "".join(f"{line}\n" for line in answer.stderr.splitlines() if line.startswith("  | "))
    expected = said.replace("{index}", published.index_url.rstrip("/")).replace("{words}", words)
    assert (answer.code, answer.stdout) == (5, "")
    assert answer.stderr == TALK + expected
    assert "unsatisfiable" in words
    assert with_index.lock.read_bytes() == before


def test_what_only_a_source_gives_is_told_with_the_line_to_write(
    with_index: Program, published: PackageIndex
):
    with_index.asks_for("sources")
    before = with_index.lock.read_bytes()

    answer = with_index("lock")

    assert (answer.code, answer.stdout) == (5, "")
    assert answer.stderr == (
        TALK + "  resolving Python packages, sources included\n"
        "error: some versions have no wheel, and only a source gives them\n"
        "  • `sources`: no wheel will do, a source gives 1.0\n"
        "\n"
        'hint: build = ["sources"] in [pip], which `envbuild lock --add-builds` writes\n'
    )
    assert with_index.lock.read_bytes() == before


def test_a_conflict_is_told_in_the_words_of_the_resolver(with_index: Program, published: PackageIndex):
    with_index.asks_for("demo==1.5", "other>=2")

    answer = with_index("lock", "--quiet")

    assert (answer.code, answer.stdout) == (5, "")
    assert answer.stderr == (
        "error: the Python requirements cannot be met for linux/amd64, Python 3.11.2, glibc 2.36\n"
        "  | Because demo>=1.5 depends on other<2 and you require demo==1.5, we can conclude that you "
        "require other<2.\n"
        "  | And because you require other>=2, we can conclude that your requirements are unsatisfiable.\n"
        "\nhint: change one of the requirements named above\n"
    )


@pytest.mark.parametrize("quiet", [False, True])
def test_a_lock_is_written_and_summed_up(with_index: Program, published: PackageIndex, quiet: bool):
    with_index.asks_for("demo")

    answer = with_index("lock", *(["--quiet"] if quiet else []))

    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr.splitlines()[-2:] == (
        []
        if quiet
        else [
            "locked default on linux/amd64: Debian GNU/Linux 12 (bookworm), Python 3.11.2, 2 wheels, 6 debs",
            "wrote envbuild.lock",
        ]
    )
    wheels = tomllib.loads(with_index.lock.read_text())["targets"][0]["wheels"]
    assert wheels == ["demo-1.5-py3-none-any.whl", "other-1.0-py3-none-any.whl"]


def test_a_written_lock_as_json(with_index: Program, published: PackageIndex):
    with_index.asks_for("demo")

    answer = with_index("lock", "--json")

    document = json.loads(answer.stdout)
    assert (answer.code, document["written"], document["lock"]) == (0, True, "envbuild.lock")
    assert [target["wheels"] for target in document["targets"]] == [2]


def test_verbose_names_what_made_the_lock_stale(with_index: Program, published: PackageIndex):
    with_index.asks_for("demo")

    answer = with_index("lock", "--verbose")

    assert answer.code == 0
    assert answer.stderr.splitlines()[0] == "pip.requirements: + demo, - numpy>=2, - scikit-learn"


def test_the_lock_names_neither_the_index_nor_its_password(
    with_index: Program, published: PackageIndex, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_INDEX_URL", published.index_url.replace("://", "://reader:s3cret@"))
    with_index.asks_for("demo")

    answer = with_index("lock", "--verbose")

    lock = with_index.lock.read_text()
    assert answer.code == 0
    assert "s3cret" not in answer.stderr + lock
    assert published.host not in lock


@pytest.mark.slow
def test_an_index_that_is_down_is_named(locked: Program):
    locked.asks_for("demo")
    before = locked.lock.read_bytes()

    answer = locked("lock")

    assert (answer.code, answer.stdout) == (9, "")
    assert answer.stderr == TALK + (
        "error: cannot reach http://127.0.0.1:9/simple/demo/\n"
        "  | ConnectionRefusedError: [Errno 111] Connection refused\n"
        "\nhint: check the address, the proxy and the network, then try again\n"
    )
    assert locked.lock.read_bytes() == before


def test_an_index_that_refuses_the_credentials_is_named_without_them(
    locked: Program, published: PackageIndex, monkeypatch: pytest.MonkeyPatch
):
    with PackageIndex(published.folder, auth=("reader", "right")) as guarded:
        monkeypatch.setenv("PIP_INDEX_URL", guarded.index_url.replace("://", "://reader:s3cret@"))
        locked.asks_for("demo")

        answer = locked("lock")

    assert (answer.code, answer.stdout) == (9, "")
    assert guarded.host in answer.stderr
    assert "s3cret" not in answer.stderr
