r"""Text from elsewhere made safe to show: nothing in it is obeyed, hidden, or moved on the screen.

Names and versions come from images, locks, indexes and registries.  On a terminal they could move the cursor,
in a log give an order to a CI system, anywhere be read in another order than they are written.  Escapes are
Python's: ``\x1b``, ``\u202e``, ``\udc80``.  They are for reading: a backslash is left as it is, so that
ordinary text and text that was escaped before stay the same.  JSON is exact.

How CI systems find their commands in the lines of a log:

- GitHub Actions: ``::name …::`` where a line begins, after any white space, and ``##[name …]`` anywhere
  (ActionCommand.cs of its runner, which other runners follow).
- Azure Pipelines: ``##vso[area.event …]`` anywhere (Command.cs of its agent), ``##[name]`` to format.
- TeamCity: ``##teamcity[…]``, which this takes for a command anywhere.
- GitLab: ``section_start:…`` and ``section_end:…`` before a carriage return and an escape, which are made
  visible like all others.

.NET compares text without the characters that cannot be seen, so none of them may stand between two others.

Standard library only: the probe carries this module into containers (``verify/probe_bundle.py``).
"""

import json
import re
from typing import Any, Final

LONGEST: Final = 2000
"""Characters of one text that are shown."""

_UNSEEN = re.compile(
    "["
    r"\x00-\x1f\x7f-\x9f"  # controls
    r"\ud800-\udfff"  # surrogates: names of files that are not UTF-8
    r"\u2028\u2029"  # separators of lines and paragraphs
    r"\ufff9-\ufffb\U00013430-\U0001343f"  # format characters that are not in the next lines
    # Default_Ignorable_Code_Point of Unicode: bidi controls, no width, fillers, variation selectors, tags
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # what Unicode promises never to make a character
    r"\ufdd0-\ufdef" + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(0x11)) + "]"
)
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}

_ANYWHERE = re.compile(r"##(?=[A-Za-z]*\[)")
_AT_THE_START = re.compile(r"\A(\s*)::(?=.*::)")

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_HALF_AN_ESCAPE = re.compile(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?\Z")


def visible(text: str, *, limit: int | None = LONGEST) -> str:
    """Return ``text`` as one line that shows all of its characters and has no command for a CI system.

    What is longer than ``limit`` is cut, and says how long it was.  Ordinary text in any language stays as it
    is, and so does what this function returned.
    """
    # escapes only make it longer
    shown = _UNSEEN.sub(_escape, text if limit is None else text[: limit + 1])
    shown = _ANYWHERE.sub(r"#\\x23", shown)
    shown = _AT_THE_START.sub(r"\1\\x3a:", shown)
    if limit is None or len(shown) <= limit:
        return shown
    said = f"… ({len(text)} characters)"
    return _HALF_AN_ESCAPE.sub("", shown[: max(0, limit - len(said))]) + said


def visible_lines(text: str, *, limit: int | None = LONGEST) -> list[str]:
    """Return the lines of ``text``, each as ``visible`` shows it, with spaces for tabs."""
    lines = _LINE_BREAK.split(text)
    if not lines[-1]:
        lines.pop()
    return [visible(line.expandtabs(), limit=limit) for line in lines]


def visible_json(value: Any) -> str:
    """Return ``value`` as a JSON document in ASCII, which no CI system finds a command in."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True)
    # a number sign stands in strings alone
    return _ANYWHERE.sub(r"#\\u0023", text)


def _escape(found: re.Match[str]) -> str:
    sign = found[0]
    code = ord(sign)
    if code <= 0xFF:  # noqa: PLR2004 - two digits
        return _NAMED.get(sign) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits
