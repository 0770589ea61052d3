"""The text form of dpkg's status, package indexes, Release files and ``.sources`` files: deb822(5).

python-debian reads it too, and the tests hold this reader to it; but importing that takes 0.1 s, twice what
reading a whole status takes here.
"""

from collections.abc import Iterator, Mapping


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield each stanza as a mapping of field name, as written, to value.

    Continuation lines stay in the value, newline and leading space included.  Lines starting with ``#`` are
    comments.  A line that is neither field nor continuation is skipped: signed Release files have some.
    """
    fields: dict[str, str] = {}
    current = ""
    # split on newlines only: a form feed or a Unicode line separator may stand inside a value
    for line in text.split("\n"):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, current = {}, ""
        elif line[0] in " \t":
            if current:
                fields[current] += "\n" + line.rstrip()
        else:
            name, colon, value = line.partition(":")
            current = name if colon else ""
            if colon:
                fields[name] = value.strip()
    if fields:
        yield fields


def format_stanza(fields: Mapping[str, str]) -> str:
    """Return the text of one stanza, without the empty line that ends it; empty fields are left out."""
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
