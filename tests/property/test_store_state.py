"""Whatever is added, damaged, received, used and pruned, in any order: what the store hands out is right.

The rules act as several processes would: each on a store of its own over one folder.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from envbuild.cache.prune import prune, usage
from envbuild.errors import IntegrityError
from envbuild.store.stage import DamagedError, stage, workspace
from envbuild.store.store import Store
from tests.rig.artifacts import artifact_of, content_of, sha256_of

pytestmark = pytest.mark.property

CONTENTS = [content_of(seed, seed * 7) for seed in range(6)]
DIGESTS = [sha256_of(content) for content in CONTENTS]
NUMBERS = st.sampled_from(range(len(CONTENTS)))
SETS = st.sets(NUMBERS)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="envbuild-store-"))
        self.present: set[int] = set()
        self.damaged: set[int] = set()
        self.received: dict[int, bytes] = {}

    @property
    def store(self) -> Store:
        return Store(self.folder)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(number=NUMBERS, way=st.sampled_from(["bytes", "chunks", "file"]))
    def add(self, number: int, way: str) -> None:
        content = CONTENTS[number]
        if way == "bytes":
            added = self.store.add_bytes(content)
        elif way == "chunks":
            added = self.store.add_stream(content[start : start + 5] for start in range(0, len(content), 5))
        else:
            with workspace(self.store) as folder:
                (folder / "file").write_bytes(content)
                added = self.store.add_file(folder / "file", sha256=DIGESTS[number])
        assert added == DIGESTS[number]
        self.present.add(number)
        self.damaged.discard(number)

    @rule(number=NUMBERS, other=NUMBERS)
    def add_what_is_something_else(self, number: int, other: int) -> None:
        if number != other:
            with pytest.raises(IntegrityError):
                self.store.add_bytes(CONTENTS[number], sha256=DIGESTS[other])

    @rule(number=NUMBERS, length=st.integers(0, 20))
    def receive(self, number: int, length: int) -> None:
        with self.store.partial(DIGESTS[number]) as partial:
            before = self.received.get(number, b"")
            assert partial.position == len(before)
            assert partial.sha256 == sha256_of(before)
            data = CONTENTS[number][len(before) :][:length]
            partial.append(data)
            if partial.sha256 == DIGESTS[number]:
                partial.finish(self.store.place_of(DIGESTS[number]))
                self.received.pop(number, None)
                self.present.add(number)
                self.damaged.discard(number)
            elif before + data:
                self.received[number] = before + data

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.present)))
        path = self.store.place_of(DIGESTS[number])
        state = path.stat()
        path.write_bytes(b"other" + path.read_bytes()[5:])
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        self.damaged.add(number)

    @rule(wanted=SETS)
    def use(self, wanted: set[int]) -> None:
        lost = {number for number in wanted if number not in self.present or number in self.damaged}
        files = {f"deep/{number}": artifact_of(CONTENTS[number], filename=str(number)) for number in wanted}
        with workspace(self.store) as folder:
            if lost:
                with pytest.raises(DamagedError) as caught:
                    stage(files, store=self.store, folder=folder)
                assert {int(artifact.filename) for artifact in caught.value.artifacts} == lost
            else:
                stage(files, store=self.store, folder=folder)
            staged = {int(path.name): path.read_bytes() for path in folder.glob("deep/*")}
        assert staged == {number: CONTENTS[number] for number in wanted - lost}
        self.present -= lost
        self.damaged -= lost

    @rule(number=NUMBERS)
    def open(self, number: int) -> None:
        if number in self.present and number not in self.damaged:
            with self.store.open_verified(DIGESTS[number]) as stream:
                assert stream.read() == CONTENTS[number]
        elif number in self.present:
            with pytest.raises(IntegrityError):
                self.store.open_verified(DIGESTS[number])
            self.present.discard(number)
            self.damaged.discard(number)

    @rule(most=st.none() | st.integers(0, 120))
    def prune(self, most: int | None) -> None:
        prune(self.folder, [self.store], max_bytes=most, wait_seconds=0)
        left = {number for number in self.present if self.store.path_of(DIGESTS[number])}
        received = {
            number: data for number, data in self.received.items() if self.store.received(DIGESTS[number])
        }
        size = sum(len(CONTENTS[number]) for number in left) + sum(map(len, received.values()))
        assert size <= (most or 0)
        self.received = received
        self.present = left
        self.damaged &= left

    @rule()
    def prune_by_age(self) -> None:
        for number in self.present:
            self.store.touch(DIGESTS[number])
        assert prune(self.folder, [self.store], older_than_days=1, wait_seconds=0).files == 0

    @rule()
    def die(self) -> None:
        """A process is killed while it adds and while it stages."""
        self.store.prepare()
        (self.folder / "partial" / "add-0123").write_bytes(b"half")
        (self.folder / "contexts" / "0123").mkdir(exist_ok=True)
        (self.folder / "contexts" / "0123.lock").touch()
        self.store.sweep()

    @invariant()
    def what_is_there_is_known(self) -> None:
        assert self.store.digests() == tuple(sorted(DIGESTS[number] for number in self.present))
        sound = self.present - self.damaged
        assert set(self.store.damaged(DIGESTS)) == set(DIGESTS) - {DIGESTS[number] for number in sound}

    @invariant()
    def nothing_else_is_left(self) -> None:
        partials = {path.name for path in (self.folder / "partial").glob("*")}
        assert partials == {DIGESTS[number] for number in self.received}
        assert list((self.folder / "contexts").glob("*")) == []
        counts = {one.folder: one.files for one in usage(self.folder)}
        assert counts["sha256"] == len(self.present)
        assert counts["partial"] == len(self.received)

    @invariant()
    def times_say_nothing_but_use(self) -> None:
        for number in self.present:
            state = self.store.place_of(DIGESTS[number]).stat()
            assert state.st_mtime == 315_532_800
            assert state.st_atime <= time.time() + 1


TestStore = StoreMachine.TestCase
# every example is many steps, each of which waits for the disk
TestStore.settings = settings(max_examples=settings().max_examples // 3, stateful_step_count=30)
