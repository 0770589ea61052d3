"""Package lists for an apt that fetches nothing itself: fetched here, with the errors that apt's own get."""

import mmap
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from envbuild.errors import IntegrityError, NetworkError, NotFoundError
from envbuild.files.disk import disk_errors
from envbuild.formats.apt_sources_list import AptSource, parse_stanzas
from envbuild.formats.deb822 import stanzas
from envbuild.progress import Progress
from envbuild.remote.debian.lists import ListMismatchError, ListSource, fetch_lists
from envbuild.remote.debian.release import ReleaseDateError
from envbuild.remote.debian.signature import ArchiveKeys, ReleaseSignatureError, only_keys
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.failures import (
    mismatched_error,
    not_found_error,
    outdated_error,
    unreachable_error,
    unsigned_error,
)
from envbuild.resolve.apt.root import AptRoot

_DIGEST = re.compile(rb"\nSHA256: ([0-9a-f]{64})(?=\n|\Z)")
_COMPARED = ("Package", "Version", "Architecture", "Filename", "Size", "Depends", "Pre-Depends", "Provides")


def update_lists(archives: AptArchives, root: AptRoot, progress: Progress) -> None:
    """Bring the lists of a private root up to date.

    :raises NetworkError: an archive cannot be reached, or its lists are out of date.
    :raises IntegrityError: what an archive serves is not signed by a key of its source, or not what
        was signed.
    """
    try:
        with disk_errors(root.lists):
            sources = tuple(_sources(root))
            fetch_lists(sources, root.lists, architecture=archives.architecture, progress=progress)
    except ReleaseDateError as error:
        raise outdated_error(archives, error.message) from error
    except ReleaseSignatureError as error:
        raise unsigned_error(archives, error.message) from error
    except ListMismatchError as error:
        raise mismatched_error(archives, error.message) from error
    except NotFoundError as error:
        raise not_found_error(archives, error.message) from error
    except NetworkError as error:
        detail = error.message + (f"\n{error.detail}" if error.detail else "")
        raise unreachable_error(archives, detail) from error


def require_listed(records: Iterable[Mapping[str, str]], root: AptRoot) -> None:
    """Raise unless every record with a file is in the signed lists as it was told: who told may lie.

    :raises IntegrityError: one is not.
    """
    wanted = [fields for fields in records if fields.get("Filename")]
    listed: dict[str, list[dict[str, str]]] = {}
    for stanza in _listed({fields.get("SHA256", "") for fields in wanted}, root):
        listed.setdefault(stanza["SHA256"], []).append(stanza)
    for fields in wanted:
        same = listed.get(fields.get("SHA256", ""), ())
        if not any(all(fields.get(name) == one.get(name) for name in _COMPARED) for one in same):
            raise IntegrityError(
                f"the image's apt says of `{fields.get('Package', '?')}` what no signed list says",
                hint="check where the base image comes from",
            )


def _listed(digests: Collection[str], root: AptRoot) -> Iterator[dict[str, str]]:
    """Yield the stanzas of the lists that have one of these digests."""
    for path in sorted(root.lists.glob("*Packages")) if digests else ():
        if not path.stat().st_size:
            continue
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for match in _DIGEST.finditer(content):
                if match[1].decode() in digests:
                    begin = content.rfind(b"\n\n", 0, match.start() + 1) + 1
                    end = content.find(b"\n\n", match.start())
                    text = content[begin : len(content) if end < 0 else end].decode(errors="replace")
                    yield from stanzas(text)


def _sources(root: AptRoot) -> Iterator[ListSource]:
    """Yield the sources of a private root with their keys, as apt would take them."""
    everything = [path.read_bytes() for path in sorted(root.keys.iterdir())]
    for source in parse_stanzas(root.sources.read_text(encoding="utf-8")):
        yield ListSource(source=source, keys=ArchiveKeys(_keys_of(source, everything, root)))


def _keys_of(source: AptSource, everything: list[bytes], root: AptRoot) -> Iterable[bytes]:
    words = re.split(r"[\s,]+", source.signed_by.strip()) if source.signed_by.strip() else []
    if not words:
        return everything
    files = [word for word in words if word.startswith("/")]
    named = [(root.keys / word.rpartition("/")[2]).read_bytes() for word in files]
    return (*named, *only_keys(everything, (word for word in words if word not in files)))
