import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, IntegrityError
from envbuild.files.locks import create_locked
from envbuild.store.store import Store
from tests.rig.artifacts import content_of, damage, sha256_of

CONTENT = content_of(1)
DIGEST = sha256_of(CONTENT)


def files_of(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


def test_a_store_creates_nothing_until_it_must(store: Store) -> None:
    assert store.path_of(DIGEST) is None
    assert not store.holds(DIGEST, 1)
    assert not store.verify(DIGEST)
    assert store.digests() == ()
    assert not store.folder.exists()


def test_bytes_are_found_by_their_digest(store: Store) -> None:
    assert store.add_bytes(CONTENT, sha256=DIGEST) == DIGEST

    path = store.folder / "sha256" / DIGEST[:2] / DIGEST
    assert store.path_of(DIGEST) == path
    assert path.read_bytes() == CONTENT
    assert store.holds(DIGEST, len(CONTENT))
    assert not store.holds(DIGEST, len(CONTENT) + 1)
    assert store.verify(DIGEST)
    assert store.digests() == (DIGEST,)
    assert files_of(store) == ["CACHEDIR.TAG", f"sha256/{DIGEST[:2]}/{DIGEST}"]
    assert (
        (store.folder / "CACHEDIR.TAG")
        .read_bytes()
        .startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_mode_and_modification_time_are_always_the_same(store: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        store.add_bytes(CONTENT)
    finally:
        os.umask(before)

    state = store.place_of(DIGEST).stat()
    assert stat.S_IMODE(state.st_mode) == 0o644
    assert state.st_mtime == 315_532_800


def test_files_and_streams_are_stored_too(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(CONTENT)

    assert store.add_file(source) == DIGEST
    assert store.add_stream(iter([b"one ", b"", b"two"])) == sha256_of(b"one two")
    assert store.add_stream([]) == sha256_of(b"")
    assert store.damaged(store.digests()) == ()
    assert len(store.digests()) == 3


def test_unexpected_content_is_not_kept(store: Store) -> None:
    with pytest.raises(IntegrityError) as caught:
        store.add_bytes(b"other", sha256=DIGEST)

    assert caught.value.message == (
        f"unexpected content: sha256 expected {DIGEST}, got {sha256_of(b'other')}"
    )
    assert files_of(store) == ["CACHEDIR.TAG"]


def test_a_source_that_fails_leaves_nothing(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise OSError(5, "the source is gone")

    with pytest.raises(OSError, match="the source is gone") as caught:
        store.add_stream(broken())

    assert not isinstance(caught.value, EnvbuildError)
    assert files_of(store) == ["CACHEDIR.TAG"]


def test_adding_again_mends_what_was_damaged(store: Store) -> None:
    store.add_bytes(CONTENT)
    damage(store, DIGEST)
    assert not store.verify(DIGEST)

    store.add_bytes(CONTENT)

    assert store.verify(DIGEST)


def test_damage_is_noticed_whatever_the_times_say(store: Store) -> None:
    store.add_bytes(CONTENT)
    other = store.add_bytes(content_of(2))
    damage(store, DIGEST)

    assert store.damaged([DIGEST, other, "0" * 64]) == tuple(sorted([DIGEST, "0" * 64]))


def test_what_is_opened_was_verified(store: Store) -> None:
    store.add_bytes(CONTENT)

    with store.open_verified(DIGEST) as stream:
        assert stream.read() == CONTENT


def test_a_damaged_artifact_is_not_opened_but_removed(store: Store) -> None:
    store.add_bytes(CONTENT)
    damage(store, DIGEST)

    with pytest.raises(IntegrityError) as caught:
        store.open_verified(DIGEST)

    assert caught.value.message.startswith(
        f"the stored file {store.place_of(DIGEST)} was damaged: its sha256"
    )
    assert store.path_of(DIGEST) is None


def test_an_artifact_that_is_not_there_cannot_be_opened(store: Store) -> None:
    with pytest.raises(EnvbuildError, match="is not in the store"):
        store.open_verified(DIGEST)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", DIGEST.upper(), DIGEST[:-1], f"{DIGEST}0"])
def test_only_digests_are_names(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        store.place_of(name)


def test_use_is_noted_in_the_access_time_alone(store: Store) -> None:
    store.add_bytes(CONTENT)
    path = store.place_of(DIGEST)
    os.utime(path, (1000, path.stat().st_mtime))

    store.touch(DIGEST)
    store.touch("0" * 64)

    assert time.time() - path.stat().st_atime < 60
    assert path.stat().st_mtime == 315_532_800


def test_foreign_files_are_no_artifacts(store: Store) -> None:
    store.add_bytes(CONTENT)
    (store.artifacts_folder / "zz").mkdir()
    (store.artifacts_folder / "zz" / DIGEST).touch()
    (store.artifacts_folder / DIGEST[:2] / "README").touch()

    assert store.digests() == (DIGEST,)


def test_a_partial_is_kept_when_it_holds_something(store: Store) -> None:
    with store.partial(DIGEST) as partial:
        partial.append(CONTENT[:10])
    with store.partial(DIGEST) as partial:
        assert partial.position == 10
        assert partial.sha256 == sha256_of(CONTENT[:10])
        assert store.received(DIGEST) == 10
        partial.append(CONTENT[10:])
        partial.finish(store.place_of(DIGEST))

    assert store.verify(DIGEST)
    assert store.received(DIGEST) == 0
    assert list(store.partials_folder.iterdir()) == []


def test_an_empty_partial_is_not_kept(store: Store) -> None:
    with store.partial(DIGEST) as partial:
        partial.append(b"wrong")
        partial.restart()

    assert list(store.partials_folder.iterdir()) == []


def test_sweeping_spares_what_is_alive_and_what_can_be_resumed(store: Store) -> None:
    store.prepare()
    (store.partials_folder / "add-left").write_bytes(b"x")
    (store.partials_folder / DIGEST).write_bytes(CONTENT[:5])
    (store.contexts_folder / "left").mkdir()
    (store.contexts_folder / "left" / "file").touch()
    (store.contexts_folder / "left.lock").touch()
    live, descriptor = create_locked(store.partials_folder, prefix="add-")
    lock, context = create_locked(store.contexts_folder, prefix="", suffix=".lock")
    lock.with_suffix("").mkdir()

    store.sweep()

    assert sorted(path.name for path in store.partials_folder.iterdir()) == sorted([DIGEST, live.name])
    assert sorted(path.name for path in store.contexts_folder.iterdir()) == [lock.stem, lock.name]
    os.close(descriptor)
    os.close(context)


def test_a_cache_that_is_a_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    store = Store(tmp_path / "cache")

    with pytest.raises(EnvbuildError) as caught:
        store.add_bytes(CONTENT)

    assert caught.value.message.startswith(f"the cache folder {store.folder} cannot be used: Not a directory")
    assert caught.value.hint == "check the disk, or name another cache folder in ENVBUILD_CACHE_DIR"
