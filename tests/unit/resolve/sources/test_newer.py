from datetime import date

import pytest

from envbuild.errors import EngineError, NoSolutionError, SourcesNeededError
from tests.rig.desk import Desk
from tests.rig.index import make_sdist, make_wheel
from tests.rig.source_builds import make_source, names_of, request_of, resolve_with_sources

# each starts uv, the real one
pytestmark = pytest.mark.slow


def test_what_only_a_source_gives_stops_the_lock_and_says_what_to_write(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    make_wheel(desk.folder, "app", "2.0", requires=["parser==4.9.*"])
    make_sdist(desk.folder, "parser", "4.9.3")
    make_wheel(desk.folder, "parser", "4.13.0")

    with pytest.raises(SourcesNeededError) as caught:
        resolve_with_sources(desk, request_of("app"))

    error = caught.value
    assert error.message == "some versions have no wheel, and only a source gives them"
    assert [str(problem) for problem in error.problems] == [
        "`parser`: no wheel will do, a source gives 4.9.3",
        "`app`: wheels give 1.0, with sources it is 2.0",
    ]
    assert error.packages == ("parser",)
    assert error.hint == (
        'build = ["parser"] in [pip], which `envbuild lock --add-builds` writes; '
        "or wheels-only = true takes what wheels give"
    )


def test_wheels_only_takes_the_older_version(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    make_sdist(desk.folder, "app", "2.0")

    found = resolve_with_sources(desk, request_of("app", wheels_only=True))

    assert names_of(found) == ["app==1.0"]


def test_a_package_without_any_wheel_is_told_with_its_source(desk: Desk) -> None:
    make_sdist(desk.folder, "langs", "1.0.9", requires=["six"])
    make_wheel(desk.folder, "six", "1.17")

    with pytest.raises(SourcesNeededError) as caught:
        resolve_with_sources(desk, request_of("langs"))

    assert [str(problem) for problem in caught.value.problems] == [
        "`langs`: no wheel will do, a source gives 1.0.9"
    ]
    assert caught.value.hint == 'build = ["langs"] in [pip], which `envbuild lock --add-builds` writes'


def test_what_is_allowed_already_stays_in_the_line(desk: Desk) -> None:
    make_sdist(desk.folder, "one", "1.0")
    make_sdist(desk.folder, "two", "1.0")

    with pytest.raises(SourcesNeededError) as caught:
        resolve_with_sources(desk, request_of("one", "two", build=("one",)))

    assert caught.value.packages == ("one", "two")
    assert [str(problem) for problem in caught.value.problems] == [
        "`two`: no wheel will do, a source gives 1.0"
    ]


@pytest.mark.parametrize(
    "case",
    [
        "an older source",
        "a source after the snapshot",
        "a source for another Python",
        "a withdrawn source",
        "a pre-release",
        "a source beyond what is asked",
    ],
)
def test_a_source_that_would_not_be_taken_stops_nothing(desk: Desk, case: str) -> None:
    make_wheel(desk.folder, "app", "1.5")
    asked, options = "app", {}
    match case:
        case "an older source":
            make_sdist(desk.folder, "app", "1.0")
        case "a source after the snapshot":
            make_sdist(desk.folder, "app", "2.0")
            desk.index._uploaded["app-2.0.tar.gz"] = "2026-06-01T00:00:00Z"
            options = {"snapshot": date(2026, 3, 1)}
        case "a source for another Python":
            make_source(
                desk.folder,
                "app",
                "2.0",
                pkg_info="Metadata-Version: 2.2\nName: app\nVersion: 2.0\nRequires-Python: >=3.13\n",
            )
        case "a withdrawn source":
            make_sdist(desk.folder, "app", "2.0")
            desk.index._yanked["app-2.0.tar.gz"] = "broken"
        case "a pre-release":
            make_sdist(desk.folder, "app", "2.0rc1")
        case _:
            make_sdist(desk.folder, "app", "2.0")
            asked = "app<2"

    request = request_of(asked).model_copy(update=options)
    assert names_of(resolve_with_sources(desk, request)) == ["app==1.5"]


def test_a_version_with_a_wheel_for_another_machine_alone_is_a_source(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "2.0", tag="cp311-cp311-win_amd64")
    make_sdist(desk.folder, "app", "2.0")
    make_wheel(desk.folder, "app", "1.0")

    with pytest.raises(SourcesNeededError) as caught:
        resolve_with_sources(desk, request_of("app"))

    assert [str(problem) for problem in caught.value.problems] == [
        "`app`: wheels give 1.0, a source gives 2.0"
    ]


def test_what_a_source_requires_counts(desk: Desk) -> None:
    make_sdist(desk.folder, "app", "2.0", requires=["lib<2", 'extra-thing; extra == "more"'])
    make_wheel(desk.folder, "lib", "1.0")
    make_wheel(desk.folder, "lib", "3.0")
    make_wheel(desk.folder, "extra-thing", "1.0")

    with pytest.raises(SourcesNeededError) as caught:
        resolve_with_sources(desk, request_of("app[more]", "lib"))

    assert [str(problem) for problem in caught.value.problems] == [
        "`app`: no wheel will do, a source gives 2.0"
    ]


def test_a_version_that_was_locked_is_no_reason_to_ask_again(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    first = resolve_with_sources(desk, request_of("app"))
    make_sdist(desk.folder, "app", "2.0")

    again = resolve_with_sources(desk, request_of("app"), previous=first)

    assert names_of(again) == ["app==1.0"]


def test_a_conflict_that_sources_do_not_mend_is_told_as_ever(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["lib<2"])
    make_wheel(desk.folder, "lib", "1.0")
    make_wheel(desk.folder, "lib", "2.0")

    with pytest.raises(NoSolutionError) as caught:
        resolve_with_sources(desk, request_of("app", "lib>=2"))

    assert not isinstance(caught.value, SourcesNeededError)


def test_without_an_engine_what_must_run_code_says_so(desk: Desk) -> None:
    make_source(desk.folder, "app", "1.0")

    with pytest.raises(EngineError) as caught:
        resolve_with_sources(desk, request_of("app", build=("app",)))

    assert caught.value.message == "nothing can be built from source here"


def test_an_archive_that_is_none_is_told_by_name(desk: Desk) -> None:
    (desk.folder / "app-1.0.tar.gz").write_bytes(b"no archive")

    with pytest.raises(NoSolutionError) as caught:
        resolve_with_sources(desk, request_of("app", build=("app",)))

    assert caught.value.message.startswith("`app-1.0.tar.gz` cannot be built: not a source archive")


def test_an_archive_of_another_project_is_not_taken(desk: Desk) -> None:
    make_source(desk.folder, "app", "1.0", pkg_info="Metadata-Version: 2.2\nName: other\nVersion: 1.0\n")

    with pytest.raises(NoSolutionError) as caught:
        resolve_with_sources(desk, request_of("app", build=("app",)))

    assert caught.value.message == "`app-1.0.tar.gz` is of `other`, not of `app`"
