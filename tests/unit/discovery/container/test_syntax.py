"""Instructions of Dockerfiles: continuations, directives, here-documents, and the line of each part."""

from envbuild.discovery.container.syntax import exec_form, read_instructions


def instructions(text: str) -> list[tuple[int, str, str]]:
    return [(item.line, item.keyword, item.arguments.text) for item in read_instructions(text)]


def test_lines_are_joined_and_comments_and_empty_lines_between_them_are_not_there():
    text = "# c\nfrom x\nRUN a \\\n  # comment\n\n  b \\  \n c\n"
    assert instructions(text) == [(2, "FROM", "x"), (3, "RUN", "a   b  c")]


def test_each_part_of_a_joined_line_knows_its_own():
    _, run = read_instructions("FROM x\nRUN a \\\n# c\n b")
    assert [run.arguments.line_at(run.arguments.text.index(word)) for word in "ab"] == [2, 4]


def test_the_escape_directive_counts_at_the_top_alone():
    assert instructions("# escape=`\nFROM x `\n AS y") == [(2, "FROM", "x  AS y")]
    assert instructions("FROM x\n# escape=`\nRUN a `\nRUN b") == [
        (1, "FROM", "x"),
        (3, "RUN", "a `"),
        (4, "RUN", "b"),
    ]


def test_flags_are_taken_off():
    (copy,) = read_instructions('COPY --from=a --chown="1:1" --link b c')
    assert copy.flags == (("from", "a"), ("chown", "1:1"), ("link", ""))
    assert copy.arguments.text == "b c"


def test_here_documents_are_not_instructions():
    run, copy = read_instructions('RUN <<EOF\nFROM a\nEOF\nCOPY <<-"A" <<B /d\n\tx\n\tA\ny\nB\n')
    assert [(doc.name, doc.body.text, doc.expands) for doc in run.heredocs] == [("EOF", "FROM a", True)]
    assert [(doc.name, doc.body.text, doc.expands) for doc in copy.heredocs] == [
        ("A", "x", False),
        ("B", "y", True),
    ]
    assert run.heredocs[0].body.line_at(0) == 2


def test_a_here_document_without_an_end_is_said_to_have_none():
    (run,) = read_instructions("RUN <<EOF\nx")
    assert not run.is_complete


def test_exec_form_is_an_array_of_strings():
    assert exec_form('["a", "b c"]') == ["a", "b c"]
    assert [exec_form(text) for text in ("a b", '["a"', "[1]", "['a']")] == [None] * 4
