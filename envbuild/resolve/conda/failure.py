"""What a solver says of an impossible request, short enough to be read."""

from envbuild.files.sizes import counted

MOST_LINES = 12
MOST_CHARACTERS = 160


def shortened(message: str) -> str:
    """Return the first lines of a solver's explanation, each of a readable length, with what was left out."""
    text = message.removeprefix("Cannot solve the request because of: ").strip()
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    shown = [
        line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
        for line in lines[:MOST_LINES]
    ]
    if len(lines) > MOST_LINES:
        shown.append(f"… and {counted(len(lines) - MOST_LINES, 'line')} more")
    return "\n".join(shown)
