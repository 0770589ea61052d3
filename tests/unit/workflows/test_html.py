"""Results in notebooks: tables and their text, whatever names and messages hold."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from envbuild.errors import Problem
from envbuild.image.engine import BuiltImage
from envbuild.image.facts import ImageFacts
from envbuild.lock.diff import FactChange, LockDiff, PackageChange, PackageVersion, TargetDiff
from envbuild.verify.checks.report import CheckResult, Report
from envbuild.workflows.build import BuildResult
from envbuild.workflows.diff import DiffResult
from envbuild.workflows.html import table
from envbuild.workflows.lock import LockResult
from envbuild.workflows.project import Project
from envbuild.workflows.status import ProjectStatus, TargetStatus
from envbuild.workflows.verify import VerifyResult
from tests.rig.hostile import HOSTILE as UNSEEN
from tests.rig.hostile import harm_in
from tests.rig.locks import sample_lock

HOSTILE = "</td><script>alert('&amp;')</script><td onclick=\"x\">"

PROJECT = Project(Path(f"a{HOSTILE}") / "envbuild.toml")


class Reader(HTMLParser):
    """Collects the elements and the texts of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.depth = 0
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.depth += 1
        if tag in {"td", "th", "caption"}:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


def locked() -> LockResult:
    lock = sample_lock()
    (base,) = lock.bases
    named = base.os.model_copy(update={"pretty_name": HOSTILE})
    (target,) = lock.targets
    return LockResult(
        project=PROJECT,
        lock=lock.model_copy(
            update={
                "bases": (base.model_copy(update={"os": named}),),
                "targets": (target.model_copy(update={"variant": HOSTILE}),),
            }
        ),
        written=True,
    )


def built() -> BuildResult:
    facts = ImageFacts(
        identifier=HOSTILE,
        architecture="amd64",
        env=(),
        user="",
        workdir="/",
        command=(),
        entrypoint=(),
        labels={},
        diff_ids=(),
        size=1,
    )
    image = BuiltImage(reference=HOSTILE, facts=facts, built=True)
    return BuildResult(image=image, engine="docker", variant=HOSTILE, platform="linux/amd64", pushed=HOSTILE)


def verified() -> VerifyResult:
    result = CheckResult(
        id="x", group=HOSTILE, title=HOSTILE, outcome="failed", expected=HOSTILE, found=HOSTILE
    )
    return VerifyResult(subject=HOSTILE, report=Report(target="t", profile="image", results=(result,)))


def compared() -> DiffResult:
    version = PackageVersion(version=HOSTILE, sha256="0" * 64, size=1)
    change = TargetDiff(
        variant=HOSTILE,
        platform="linux/amd64",
        old_tag="a",
        new_tag="b",
        facts=(FactChange(name=HOSTILE, old=HOSTILE, new=None),),
        packages=(PackageChange(kind="wheel", name=HOSTILE, old=version, new=version),),
        architectures_gained=(HOSTILE,),
        architectures_lost=(),
        old_size=1,
        new_size=1,
    )
    changes = LockDiff(targets=(change,), added=((HOSTILE, "linux/amd64"),), removed=())
    return DiffResult(old=HOSTILE, new=HOSTILE, changes=changes)


def status() -> ProjectStatus:
    target = TargetStatus(
        variant=HOSTILE,
        platform="linux/amd64",
        reference=HOSTILE,
        stale=(Problem(HOSTILE, HOSTILE),),
        image_state="built",
        pushed=None,
        base=HOSTILE,
        base_state="as locked",
    )
    return ProjectStatus(PROJECT, (target,))


@pytest.mark.parametrize(
    "result", [locked(), built(), verified(), compared(), status()], ids=lambda r: type(r).__name__
)
def test_a_result_is_a_table_and_nothing_else(result):
    shown = Reader(result._repr_html_())

    assert {"table", "td"} <= set(shown.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert (shown.tags.count("table"), shown.attributes, shown.depth) == (1, [], 0)
    assert any(HOSTILE in text for text in shown.texts)


def test_what_cannot_be_seen_is_shown():
    shown = Reader(table(UNSEEN, (UNSEEN,), [(UNSEEN,), (1,)]))

    assert harm_in("".join(shown.texts)) == []
    *named, number = shown.texts
    assert [text.startswith(r"\x1b[31mred\x1b[0m\x07") for text in named] == [True, True, True]
    assert number == "1"
