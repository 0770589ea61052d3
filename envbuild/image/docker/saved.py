"""What `docker save` gives, read as an image whose layers can be compared."""

import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from envbuild.digest import CHUNK, sha256_file
from envbuild.errors import EngineError
from envbuild.formats.json_text import parse_json
from envbuild.formats.tar_reader import LayerError, normal_path
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor, parse_config


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image an engine wrote out."""

    image: OciImage
    files: tuple[Path, ...]
    """Its layers, bottom first."""

    def chunks(self, position: int) -> Iterator[bytes]:
        """Yield the bytes of one layer."""
        with self.files[position].open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


def read_saved(chunks: Iterable[bytes], folder: Path) -> SavedImage:
    """Unpack an archive of one image into ``folder``.

    :raises EngineError: it is not in the form engines write.
    """
    folder.mkdir()
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Stream(chunks)), mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is None:
                    continue
                place = folder / normal_path(entry.name)
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as file:
                    while chunk := content.read(CHUNK):
                        file.write(chunk)
        (described,) = parse_json((folder / "manifest.json").read_bytes())
        config = (folder / normal_path(described["Config"])).read_bytes()
        files = tuple(folder / normal_path(name) for name in described["Layers"])
        layers = tuple(
            Descriptor(media_type="", digest=f"sha256:{sha256_file(file)}", size=file.stat().st_size)
            for file in files
        )
    except (tarfile.TarError, LayerError, OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            "the engine wrote an image out in an unknown form", detail=str(error)[:200]
        ) from error
    manifest = json.dumps([layer.digest for layer in layers]).encode() + config
    image = OciImage(config=config, manifest=manifest, layers=layers, diff_ids=parse_config(config).diff_ids)
    return SavedImage(image, files)


class _Stream:
    """Chunks as a file that is only read forward."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
