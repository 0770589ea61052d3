"""Options of a command line: which words are options, which are their values."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from envbuild.discovery.commands.shell_words import ShellWord


@dataclass(frozen=True, slots=True)
class Argument:
    """An option with its value, or a plain word."""

    option: str | None
    """``--index-url``, ``-r``; None: a plain word."""

    value: ShellWord | None
    """Of an option that takes one; or the word itself."""

    line: int

    @property
    def text(self) -> str:
        """The value; empty where there is none."""
        return self.value.text if self.value else ""


def read_arguments(words: Sequence[ShellWord], with_value: Collection[str]) -> Iterator[Argument]:
    """Yield options and plain words; options in ``with_value`` take the rest of the word, or the next one."""
    shorts = {option for option in with_value if not option.startswith("--")}
    position, is_over = 0, False
    while position < len(words):
        word = words[position]
        position += 1
        text = word.text
        if is_over or not text.startswith("-") or text == "-":
            yield Argument(None, word, word.line)
            continue
        if text == "--":
            is_over = True
            continue
        name, equals, value = text.partition("=")
        short = text[:2]
        if text.startswith("--") and equals:
            yield Argument(name, ShellWord(value, word.line, word.unknown), word.line)
        elif text in with_value and position < len(words):
            yield Argument(text, words[position], word.line)
            position += 1
        elif not text.startswith("--") and short in shorts and text != short:
            yield Argument(short, ShellWord(text[2:].removeprefix("="), word.line, word.unknown), word.line)
        else:
            yield Argument(text, None, word.line)
