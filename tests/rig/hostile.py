"""Text as a hostile image, lock or server sends it, and what people and CI systems must not see."""

import re
import unicodedata

HOSTILE = (
    "\x1b[31mred\x1b[0m\x07\x9b2J\r\n::error::a\n  ::set-output name=a::b\r##[error]c\x0b"
    "##vso[task.complete]d\x85##teamcity[buildStop]e\u2028section_start:1:f\r\x1b[0K\t\u202egpj\u2066\u200b\ufeff\u00ad\udc80\x7f"
    "|`<b>@team</b>``![g](http://h)"
)
"""All of it at once."""

COMMANDS = (
    "::error::a",
    " \u00a0::set-output name=a::b",
    "::error a::b",
    "##[error]a",
    "a ##[add-mask]b",
    "###[group]a",
    "##vso[task.setvariable variable=a]b",
    "a ##teamcity[buildStop]",
    "##\u200b[error]a",
    "#\u00ad#[error]a",
    "\u2060::error::a",
    "section_start:1:a\r\x1b[0K",
    "section_end:1:a[collapsed=true]\r\x1b[0K",
)
"""Each is read by a CI system, or by one that passes over what cannot be seen."""

_SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Format characters that are signs before numbers, and have a shape."""

_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""Marks and letters without a shape."""


def is_unseen(sign: str) -> bool:
    """Return whether a character shows nothing, or does something instead."""
    code = ord(sign)
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return True
    if sign in _FILLERS or 0xFE00 <= code <= 0xFE0F or 0xE0000 <= code <= 0xE0FFF:
        return True
    return unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and sign not in _SEEN


def commands_in(line: str) -> list[str]:
    """Return the CI systems that read a command in ``line``, as their own code looks for it."""
    begun = line.lstrip()
    found = {
        "GitHub Actions": begun.startswith("::") and "::" in begun[2:],
        "GitHub Actions, first form; Azure Pipelines, format": "##[" in line,
        "Azure Pipelines": "##vso[" in line,
        "TeamCity": "##teamcity[" in line,
        "GitLab": re.search(r"section_(start|end):\d+:[\w.-]+(\[[^\]]*\])?\r\x1b\[0K", line) is not None,
    }
    return [name for name, is_read in found.items() if is_read]


def harm_in(shown: str) -> list[str]:
    """Return what is wrong with lines that were shown."""
    harm = [f"character {sign!r}" for sign in shown.replace("\n", "") if is_unseen(sign)]
    return harm + [f"{name}: {line!r}" for line in shown.split("\n") for name in commands_in(line)]
