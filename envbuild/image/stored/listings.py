"""Listings of layers that were read once, by the digest of the layer: a layer never changes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from envbuild.cache.folders import LISTINGS
from envbuild.cache.notes import read_note, try_note
from envbuild.digest import OciDigest
from envbuild.oci.layer_listing import LayerListing


class ListingCache:
    """Listings below one cache folder.  A file that cannot be read counts as absent.

    ``rereads`` makes it forget what other processes kept: every layer is read once more.
    """

    def __init__(self, cache: Path, *, rereads: bool = False) -> None:
        self._folder = LISTINGS.path(cache)
        self._rereads = rereads
        self._own: dict[OciDigest, LayerListing] = {}

    def get(self, diff_id: OciDigest) -> LayerListing | None:
        """Return the listing of the layer with this digest of its uncompressed archive, if it is known."""
        known = self._own.get(diff_id)
        if known is None and not self._rereads:
            known = read_note(self._path(diff_id), LayerListing.of)
            if known is not None and known.diff_id == diff_id:
                self._own[diff_id] = known
        return self._own.get(diff_id)

    def put(self, listing: LayerListing) -> None:
        """Keep a listing; where nothing can be written, the layer is read again next time."""
        if listing.diff_id not in self._own:
            self._own[listing.diff_id] = listing
            try_note(self._path(listing.diff_id), listing.document())

    def missing(self, diff_ids: Iterable[OciDigest]) -> frozenset[OciDigest]:
        """Return those whose listing is not known."""
        return frozenset(diff_id for diff_id in diff_ids if self.get(diff_id) is None)

    def diff_id_of(self, blob: OciDigest) -> OciDigest | None:
        """Return what the blob of this digest unpacks to, if its listing is known."""
        if self.get(blob) is not None:
            return blob
        diff_id = None if self._rereads else read_note(self._path(blob), _diff_id)
        return diff_id if diff_id is not None and self.get(diff_id) is not None else None

    def note_blob(self, blob: OciDigest, diff_id: OciDigest) -> None:
        """Note that the compressed bytes of digest ``blob`` unpack to the layer ``diff_id``."""
        if blob != diff_id:
            try_note(self._path(blob), {"diff-id": diff_id})

    def _path(self, digest: OciDigest) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / f"{name}.json.gz"


def _diff_id(document: Any) -> OciDigest:
    return str(document["diff-id"])
