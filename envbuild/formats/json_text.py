"""JSON from files, servers, programs and images, which may be broken or hostile."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return the value that ``text`` holds; bytes are UTF-8, UTF-16 or UTF-32, which Python tells apart.

    :raises ValueError: it is not JSON, is nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        # whoever handles what is not JSON handles this too
        raise ValueError("it is nested too deeply") from error
