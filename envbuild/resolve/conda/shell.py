"""Text of a shell script cut into statements, commands and words; nothing is known here of what they mean."""

import re
from collections.abc import Iterator


class UnknownError(Exception):
    """Something that cannot be worked out without running it."""


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the number of its line; comments and continuations are taken out."""
    number = 0
    pending, start = "", 0
    for line in text.splitlines():
        number += 1
        start = start or number
        code = _without_comment(line)
        if code.rstrip().endswith("\\"):
            pending += code.rstrip()[:-1] + " "
            continue
        for _, statement in split(pending + code, (";",)):
            plain = statement.strip()
            for keyword in ("then ", "else "):
                if plain.startswith(keyword):
                    yield start, keyword.strip()
                    plain = plain.removeprefix(keyword).strip()
            if plain:
                yield start, plain
        pending, start = "", 0


def _without_comment(line: str) -> str:
    kept, quote = "", ""
    for position, letter in enumerate(line):
        if letter == "#" and not quote and (position == 0 or line[position - 1] in " \t;"):
            break
        if letter in "'\"" and quote in {"", letter}:
            quote = "" if quote else letter
        kept += letter
    return kept


def split(text: str, operators: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (operator before it, part) outside of quotes and of ``[[ … ]]``."""
    parts, operator, current, quote, depth = [], "", "", "", 0
    position = 0
    while position < len(text):
        letter = text[position]
        if letter in "'\"" and quote in {"", letter}:
            quote = "" if quote else letter
        if not quote:
            if text.startswith("[[", position):
                depth += 1
            elif text.startswith("]]", position):
                depth -= 1
            found = next((item for item in operators if text.startswith(item, position)), None)
            if found and depth <= 0 and not (found == ";" and text.startswith(";;", position)):
                parts.append((operator, current))
                operator, current = found, ""
                position += len(found)
                continue
        current += letter
        position += 1
    parts.append((operator, current))
    return parts


def words_of(text: str) -> list[str]:
    """Return the words of a command, quotes kept."""
    if re.search(r"[<>|&`]|\$\(", re.sub(r"'[^']*'|\"[^\"`$]*\"", "", text)):
        raise UnknownError
    return re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", text)


def quoted(word: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a word, each with the quote it stands in: ``'``, or empty where variables count."""
    for match in re.finditer(r"'([^']*)'|\"([^\"]*)\"|([^'\"]+)", word):
        if match[1] is not None:
            yield "'", match[1]
        else:
            yield "", match[2] if match[2] is not None else match[3]
