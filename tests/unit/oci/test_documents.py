"""Documents that are kept by digest, and what may have become of them."""

from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from envbuild.oci import documents
from envbuild.oci.documents import Document, DocumentFolder

DATA = b'{"layers": []}'


@pytest.fixture
def kept(tmp_path: Path) -> Document:
    document = Document(digest=f"sha256:{sha256_bytes(DATA)}", media_type="", data=DATA)
    return DocumentFolder(tmp_path).put(document)


def test_a_document_is_given_back(tmp_path: Path, kept: Document) -> None:
    assert DocumentFolder(tmp_path).get(kept.digest) == kept
    assert DocumentFolder(None).get(kept.digest) is None


def test_one_that_was_altered_is_as_good_as_none(tmp_path: Path, kept: Document) -> None:
    (tmp_path / sha256_bytes(DATA)).write_bytes(DATA + b" ")
    assert DocumentFolder(tmp_path).get(kept.digest) is None


def test_one_that_is_too_large_is_read_no_further(
    tmp_path: Path, kept: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LARGEST", len(DATA))
    assert DocumentFolder(tmp_path).get(kept.digest) == kept
    monkeypatch.setattr(documents, "LARGEST", len(DATA) - 1)
    assert DocumentFolder(tmp_path).get(kept.digest) is None
