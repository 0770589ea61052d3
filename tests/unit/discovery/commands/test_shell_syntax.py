"""Scripts of shells as commands: what is one, and what is said of what is none."""

import pytest

from envbuild.discovery.commands.numbered_text import numbered
from envbuild.discovery.commands.shell_syntax import ShellCommand, read_commands


def commands(script: str, **variables: str | None) -> list[ShellCommand]:
    return list(read_commands(numbered(script), dict(variables)))


def words(script: str, **variables: str | None) -> list[list[str]]:
    return [[word.text for word in command.words] for command in commands(script, **variables)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a b && c; d\ne", [["a", "b"], ["c"], ["d"], ["e"]]),
        ("a 'b c' \"d e\" f\\ g", [["a", "b c", "d e", "f g"]]),
        ("a b# c # d && e", [["a", "b#", "c"]]),
        ("a \\\n  b \\\n c", [["a", "b", "c"]]),
        ("a 2>/dev/null >/dev/null 2>&1 b", [["a", "b"]]),
        ("a || true", [["a"]]),
        ("a '' \"\"", [["a", "", ""]]),
        ("a 'x>=1' \"y<2\"", [["a", "x>=1", "y<2"]]),
    ],
)
def test_words_of_simple_commands(script, expected):
    assert words(script) == expected


def test_variables_outside_quotes_are_split_and_those_inside_are_not():
    assert words("i $LIST \"$LIST\" '$LIST'", LIST="a  b") == [["i", "a", "b", "a  b", "$LIST"]]


def test_a_variable_that_is_empty_gives_no_word_outside_quotes():
    assert words('i $NONE "$NONE"', NONE="") == [["i", ""]]


def test_what_a_script_assigns_is_known_from_there_on():
    assert words('V=1.2; X="a b"\npip install t==$V $X') == [["pip", "install", "t==1.2", "a", "b"]]


def test_an_assignment_before_a_command_belongs_to_it():
    (command,) = commands("FORCE_CUDA=1 pip install x")
    assert [(name, word.text) for name, word in command.assignments] == [("FORCE_CUDA", "1")]


@pytest.mark.parametrize(
    ("script", "unknown"),
    [
        ("a $X", "$X"),
        ("a ${X}", "${X}"),
        ("a $(cat  f)", "$(cat f)"),
        ("a `cat f`", "`cat f`"),
        ("a ${X%y}", "${X%y}"),
        ("a $1", "$1"),
        ("a 'b", "a quote that does not end"),
        ('a "b', "a quote that does not end"),
    ],
)
def test_what_is_not_known_is_named(script, unknown):
    (command,) = commands(script)
    assert command.words[-1].unknown == unknown


def test_a_value_that_is_not_known_is_not_guessed_later():
    (command,) = commands("V=$(date)\na $V")
    assert command.words[-1].unknown == "$V"


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        ("a | b", "a pipe"),
        ("a || b", "a condition"),
        ("[ -f x ] && a", "a condition"),
        ("test -f x && a", "a condition"),
        ("if a; then\n b\nelse\n c\nfi", "a condition"),
        ("case $x in a) b;; esac", "a condition"),
        ("for i in a b; do c $i; done", "a loop"),
        ("while a; do if b; then c; fi; done", "a loop"),
        ("{ a; b; }", "a group of commands"),
        ("(a && b)", "a subshell"),
        ("a &", "a command in the background"),
        ("a > b", "a redirection into a file"),
        ("a < b", "input from elsewhere"),
        ("cat <<E > f\nif x\nE", "a here-document"),
    ],
)
def test_what_is_no_simple_command_is_one_refusal(script, refused):
    assert [command.refused for command in commands(script)] == [refused]


def test_commands_after_a_refused_one_are_read():
    found = commands("a | b && c\nif x; then\ny\nfi\nd")
    assert [(item.line, item.refused) for item in found] == [
        (1, "a pipe"),
        (1, None),
        (2, "a condition"),
        (5, None),
    ]


def test_a_bound_without_quotes_is_a_redirection_and_is_kept():
    (command,) = commands("pip install torch>=2.0 numpy")
    assert [word.text for word in command.words] == ["pip", "install", "torch", "numpy"]
    assert command.redirected_bounds == ("torch>=2.0",)


def test_each_word_knows_its_line():
    (command,) = commands("a \\\n b \\\n c")
    assert [word.line for word in command.words] == [1, 2, 3]
