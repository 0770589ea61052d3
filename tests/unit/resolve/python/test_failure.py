import pytest
from packaging.utils import canonicalize_name

from envbuild.lock.model import Libc
from envbuild.platforms import AMD64
from envbuild.remote.index.configuration import IndexAddress, IndexCredentials
from envbuild.resolve.python.backend import Question
from envbuild.resolve.python.failure import LONGEST_LINE, MOST_LINES, shortened, without_secrets
from envbuild.resolve.python.target import TargetPython

TARGET = TargetPython(AMD64, Libc(family="glibc", version="2.36"), "3.11.2")

TODAYS_UV = """\
error: No solution found when resolving dependencies
  cause: Because all of:
             demo<=1.9
             demo>=1.11,<=1.12
         have no usable wheels and only the following versions of demo are available:
             demo<=1.9
             demo>=2
         we can conclude that demo<2 cannot be used.
         And because you require demo<2, we can conclude that your requirements are unsatisfiable.

hint: Wheels are required for `demo` because building from source is disabled (i.e., with `--no-build`)

hint: Wheels are available for `demo` (v1.0) on the following platform: `win_amd64`
"""

EARLIER_UV = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because only demo==1.0 is available and app depends on demo>=2, we can
      conclude that all versions of app cannot be used.
      And because you require app, we can conclude that your requirements are
      unsatisfiable.
"""

PIP = """\
  Looking in indexes: https://index.example.com/simple
  ERROR: Cannot install app and demo==2 because these package versions have conflicting dependencies.
The conflict is caused by:
      The user requested demo==2
      app 1.0 depends on demo<2

"""


def test_uvs_lists_become_sentences_and_its_flags_go() -> None:
    first, *others = shortened(TODAYS_UV).splitlines()
    assert first == (
        "Because all of: demo<=1.9, demo>=1.11,<=1.12 have no usable wheels and only the following versions "
        "of demo are available: demo<=1.9, demo>=2 we can conclude that demo<2 cannot be used."
    )
    assert others == [
        "And because you require demo<2, we can conclude that your requirements are unsatisfiable.",
        "hint: Wheels are available for `demo` (v1.0) on the following platform: `win_amd64`",
    ]


def test_frames_and_line_breaks_of_earlier_uv_go() -> None:
    assert shortened(EARLIER_UV) == (
        "Because only demo==1.0 is available and app depends on demo>=2, we can conclude that all versions "
        "of app cannot be used.\n"
        "And because you require app, we can conclude that your requirements are unsatisfiable."
    )


def test_of_pip_the_conflict_stays() -> None:
    assert shortened(PIP).splitlines() == [
        "Cannot install app and demo==2 because these package versions have conflicting dependencies.",
        "The conflict is caused by:",
        "The user requested demo==2",
        "app 1.0 depends on demo<2",
    ]


def test_a_long_list_of_versions_is_cut_to_the_newest() -> None:
    versions = ", ".join(f"1.{minor}" for minor in range(200))
    said = (
        f"ERROR: Could not find a version that satisfies the requirement demo>2 (from versions: {versions})"
    )
    assert shortened(said) == (
        "Could not find a version that satisfies the requirement demo>2 (newest: 1.196, 1.197, 1.198, 1.199)"
    )


def test_the_middle_of_a_very_long_explanation_goes() -> None:
    sentences = [f"Because of {number}, it cannot be." for number in range(100)]
    kept = shortened("error: No solution found\n" + "\n".join(sentences)).splitlines()
    assert kept[0] == sentences[0]
    assert kept[MOST_LINES // 2] == "…"
    assert kept[-1] == sentences[-1]
    assert len(kept) == MOST_LINES + 1


def test_a_very_long_sentence_loses_its_middle() -> None:
    kept = shortened("error: No solution found\nBecause " + "x" * 5000 + " is so.")
    assert len(kept) <= LONGEST_LINE + 3
    assert kept.startswith("Because x")
    assert kept.endswith("x is so.")


@pytest.mark.parametrize("text", ["", "\n\n", "something else"])
def test_other_words_are_left_as_they_are(text: str) -> None:
    assert shortened(text) == text.strip()


def test_colours_and_secrets_are_taken_out() -> None:
    corp = IndexAddress(
        name="corp",
        url="https://index.example.com",
        credentials=IndexCredentials(username="reader", password="s3cret"),
    )
    question = Question(
        requirements=("app",), target=TARGET, indexes=(corp,), sources={canonicalize_name("app"): "corp"}
    )
    said = "\x1b[1m\x1b[31merror\x1b[0m: https://me:pass@index.example.com/simple refused s3cret"
    assert without_secrets(said, question) == "error: https://index.example.com/simple refused ****"
