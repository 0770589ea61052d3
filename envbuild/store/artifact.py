"""What the store holds: one file somebody published, named by what it contains."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from envbuild.files.sizes import readable_size
from envbuild.remote.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the lock, and how to find out where it can be had."""

    kind: Literal["wheel", "deb", "conda", "python", "source"]

    name: str
    """For people: ``numpy 2.3.4``."""

    filename: str
    """As the lock names it; also what it is looked up by in a vendored folder."""

    sha256: str

    size: int
    """Bytes."""

    locate: Callable[[], Iterable[Address]]
    """Yields addresses, best first.

    Called from a worker thread, once per fetch, and only when the store lacks the file.  May raise
    :class:`~envbuild.errors.EnvbuildError`, which the user is told if no address before it served.
    """

    carried: Callable[[], bytes | None] = lambda: None
    """Returns the bytes where envbuild itself has them: nobody is asked for those."""

    other_names: tuple[str, ...] = ()
    """Further file names it may have in a vendored folder."""

    def __str__(self) -> str:
        return f"{self.filename} ({readable_size(self.size)})"
