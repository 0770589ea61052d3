"""What several files give together, and that what contradicts is told with both files."""

from envbuild.discovery.combine import combine
from envbuild.discovery.content import FileContent, Taken
from envbuild.errors import Problem


def content(file: str, **tables: dict[str, object]) -> FileContent:
    return FileContent(tables=tables, taken=[Taken(file, "something")])


def test_lists_are_joined_and_tables_merged() -> None:
    found = combine(
        [
            content("a", pip={"packages": ["six"]}, image={"env": {"A": "1"}}),
            content("b", pip={"packages": ["six", "attrs"]}, image={"env": {"B": "2", "A": "1"}}),
        ]
    )

    assert found.tables == {"pip": {"packages": ["six", "attrs"]}, "image": {"env": {"A": "1", "B": "2"}}}
    assert found.left == []
    assert [taken.file for taken in found.taken] == ["a", "b"]


def test_of_what_contradicts_the_first_is_taken_and_both_are_named() -> None:
    found = combine(
        [
            content("Dockerfile", base={"image": "a:1"}, image={"env": {"A": "1"}, "command": ["a"]}),
            content("cog.yaml", base={"image": "b:1"}, image={"env": {"A": "2"}, "command": ["b"]}),
            content("other", base={"packages": "debian:bookworm"}),
        ]
    )

    assert found.tables == {"base": {"image": "a:1"}, "image": {"env": {"A": "1"}, "command": ["a"]}}
    assert found.left == [
        Problem(
            file,
            f"`{key}` differs from that of Dockerfile, which is taken",
            f"edit `{key}` of the spec if {file} is right",
        )
        for file, key in [
            ("cog.yaml", "base.image"),
            ("cog.yaml", "image.env.A"),
            ("cog.yaml", "image.command"),
            ("other", "base.packages"),
        ]
    ]


def test_folders_to_prepend_are_joined() -> None:
    found = combine(
        [
            content("a", image={"prepend": {"PATH": ["/a"]}}),
            content("b", image={"prepend": {"PATH": ["/a", "/b"]}}),
        ]
    )

    assert found.tables == {"image": {"prepend": {"PATH": ["/a", "/b"]}}}
