import io
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from envbuild.errors import BuildFailedError, IntegrityError
from envbuild.formats import wheel_archive
from envbuild.formats.compression import Compression
from envbuild.image.local.layers.bytecode import CompilingPython
from envbuild.image.local.layers.wheel_layers import make_wheel_layers
from envbuild.image.local.layers.writer import MTIME
from envbuild.render.layers import LAYERS, WheelLayer, plan_wheel_layers
from tests.rig.progress import RecordedProgress
from tests.rig.recipe import lay_scripts
from tests.rig.wheels import VERSION, layer_builder, locked, this_python, write_wheel

SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
SOURCE = b"NAMES = frozenset({'a', 'b'})\n\ndef f(x, path=None):\n    return x in {'e', 'f', 'g'}, path\n"
EVERYTHING = {
    "demo/__init__.py": SOURCE,
    "demo/broken.py": b"def (:\n",
    "demo/tool": b"#!/bin/sh\n",
    "demo/__pycache__/__init__.cpython-311.pyc": b"not installed",
    "demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\ndemo = demo.cli:main\n",
    "demo-1.0.dist-info/INSTALLER": b"someone else\n",
    "demo-1.0.data/scripts/say": b"#!python\nprint('hello')\n",
    "demo-1.0.data/scripts/gui": b"#!pythonw -x\nprint('hello')\n",
    "demo-1.0.data/scripts/native": b"\x7fELF" + bytes(3_000_000),
    "demo-1.0.data/data/share/demo/data.txt": b"data",
    "demo-1.0.data/data/lib64/x.txt": b"beside lib",
    "demo-1.0.data/headers/demo.h": b"#define DEMO 1\n",
    "demo-1.0.data/platlib/demo/native.so": b"\x7fELF" * 1_000_000,
    "D\u00e9mo/\u00fc.py": b"x = 1\n",
    "README": b"1",
    "Readme": b"names that differ only in case are two files",
}
EXECUTABLE = ("demo/tool", "demo-1.0.data/scripts/say", "demo-1.0.data/scripts/native")


def entries_of(builder, layers):
    """Return what the layers hold together: content and mode of files, mode of folders."""
    found = {}
    for layer in layers:
        data = zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(builder.cache.chunks(layer)))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                assert (member.uid, member.gid, member.mtime) == (0, 0, MTIME)
                stream = archive.extractfile(member) if member.isreg() else None
                found[member.name] = (member.mode, stream.read() if stream else None)
    return found


def installed(folder: Path, root: Path, recipe: Path):
    """Return what the install script of the docker engine's build makes of the wheels in `folder`."""
    subprocess.run(
        [sys.executable, recipe / "install.py", "--prefix", "/opt/venv", "--wheels", folder, "--root", root],
        check=True,
        umask=0o077,
    )
    found = {}
    for path in sorted((root / "opt/venv").rglob("*")):
        name = str(path.relative_to(root))
        found[name] = (path.stat().st_mode & 0o7777, path.read_bytes() if path.is_file() else None)
    return found


def layer_of(*paths: Path) -> WheelLayer:
    return WheelLayer(tuple(locked(path) for path in paths))


@pytest.fixture
def recipe(tmp_path):
    return lay_scripts(tmp_path / "recipe")


@pytest.mark.slow
def test_a_layer_is_what_the_docker_engine_installs(tmp_path, recipe):
    folder = tmp_path / "wheels"
    wheels = [
        write_wheel(folder, "demo", EVERYTHING, executable=EXECUTABLE, compression=zipfile.ZIP_DEFLATED),
        write_wheel(folder, "ape", {"zoo.py": b"x = 1\n", "ape.py": SOURCE}),
        # executable in one, not in the other
        write_wheel(folder, "zoo", {"zoo.py": b"x = 1\n", "a.py": SOURCE * 3}, executable=("zoo.py",)),
    ]
    builder = layer_builder(folder, tmp_path / "cache", python=this_python())
    layers = make_wheel_layers([layer_of(*sorted(wheels))], builder)
    expected = installed(folder, tmp_path / "root", recipe)
    found = entries_of(builder, layers)
    assert found.pop("opt/venv") == (0o755, None)
    assert found == expected
    assert f"opt/venv/{SITE}/demo/__pycache__/__init__.{sys.implementation.cache_tag}.pyc" in found


@pytest.mark.slow
def test_layers_of_one_wheel_each_are_what_the_docker_engine_installs(tmp_path, recipe):
    shared = {"both/__init__.py": SOURCE, "both/tool": b"#!/bin/sh\n"}
    first = write_wheel(tmp_path / "1", "one", {**shared, "one.py": SOURCE * 2}, executable=("both/tool",))
    second = write_wheel(tmp_path / "2", "two", {**shared, "a.py": b"path = data = name = 1\n"})
    installed(tmp_path / "1", tmp_path / "root", recipe)
    expected = installed(tmp_path / "2", tmp_path / "root", recipe)
    folder = tmp_path / "wheels"
    folder.mkdir()
    for path in (first, second):
        path.rename(folder / path.name)
    builder = layer_builder(folder, tmp_path / "cache", python=this_python())
    layers = make_wheel_layers([layer_of(folder / first.name), layer_of(folder / second.name)], builder)
    found = entries_of(builder, layers)
    assert found.pop("opt/venv") == (0o755, None)
    assert found == expected
    assert found[f"opt/venv/{SITE}/both/tool"][0] == 0o755
    # a layer of its own says so: that of a wheel follows from the wheel alone
    assert [layer.comment for layer in layers] == ["one 1.0", "two 1.0", "executable files of several wheels"]


@pytest.mark.slow
def test_real_wheels_make_what_the_docker_engine_installs(tmp_path, recipe):
    """Those of this environment that lie here as wheels anyway: pip's own copy in ensurepip."""
    import ensurepip  # noqa: PLC0415

    bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("*.whl"))
    if not bundled:
        pytest.skip("this Python has no bundled wheels")
    folder = tmp_path / "wheels"
    folder.mkdir()
    for path in bundled:
        (folder / path.name).write_bytes(path.read_bytes())
    builder = layer_builder(folder, tmp_path / "cache", python=this_python())
    layers = make_wheel_layers(
        plan_wheel_layers(map(locked, sorted(folder.iterdir())), budget=LAYERS), builder
    )
    expected = installed(folder, tmp_path / "root", recipe)
    found = entries_of(builder, layers)
    del found["opt/venv"]
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.slow
def test_the_same_wheel_gives_the_same_layer_whatever_else_is_there(tmp_path):
    folder = tmp_path / "wheels"
    big = locked(write_wheel(folder, "big", {"big.py": SOURCE}), size=2_000_000)
    small = [locked(write_wheel(folder, name)) for name in ("one", "two", "three")]

    def layers_of(wheels, cache, workers):
        builder = layer_builder(folder, tmp_path / cache, python=this_python())
        return make_wheel_layers(plan_wheel_layers(wheels, budget=LAYERS), builder, workers=workers)

    alone = layers_of([big], "1", 1)
    together = layers_of([*small, big], "2", 4)
    other = layers_of([small[2], big, small[0]], "3", 2)
    assert alone[0] == together[0] == other[0]
    assert together[1] != other[1]
    assert layers_of([big, *reversed(small)], "4", 1) == together


@pytest.mark.slow
@pytest.mark.property
@settings(max_examples=15)
@given(
    trees=st.lists(
        st.dictionaries(
            st.sampled_from(["a.py", "b/c.py", "b/d", "b-e/f.py", "B/c.py", "z"]),
            st.booleans(),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    ),
    data=st.data(),
)
def test_layers_share_and_differ_by_their_wheels_alone(tmp_path_factory, trees, data):
    folder = tmp_path_factory.mktemp("wheels")
    wheels = []
    for number, tree in enumerate(trees):
        files = {name: name.encode() for name in tree}
        marked = [name for name, executable in tree.items() if executable]
        path = write_wheel(folder, f"w{number}", files, executable=marked)
        wheels.append(locked(path, size=data.draw(st.sampled_from([10, 2_000_000]))))
    builder = layer_builder(folder, folder / "cache")
    everything = make_wheel_layers(plan_wheel_layers(wheels, budget=LAYERS), builder)
    found = entries_of(builder, everything)
    for wheel in wheels:
        if wheel.size > 10:
            (alone,) = make_wheel_layers(
                plan_wheel_layers([wheel], budget=1), layer_builder(folder, folder / wheel.name)
            )
            assert alone in everything
    for name in {name for tree in trees for name in tree}:
        executable = any(tree.get(name, False) for tree in trees)
        assert found[f"opt/venv/{SITE}/{name}"] == (0o755 if executable else 0o644, name.encode())


GOLDEN: dict[Compression, tuple[str, str]] = {
    "zstd": (
        "sha256:56f96013f762be0e9b33e7afe71f29d16446aa613374e310565d90a3782a03f1",
        "sha256:800b062d21b64dc6fbe2a8c97cfebbe0ee41567b8cae13b4eb3d370abcaad3ff",
    ),
    "gzip": (
        "sha256:56f96013f762be0e9b33e7afe71f29d16446aa613374e310565d90a3782a03f1",
        "sha256:1cf838ddc822ceb33665fb63cf6e38e17b078156036802c45f84166c5436fcc8",
    ),
}


@pytest.mark.parametrize("codec", list(GOLDEN))
def test_the_layer_of_a_wheel_is_the_golden_one(tmp_path, codec):
    """A change here changes every layer of wheels: their format number must go up with it."""
    wheel = write_wheel(tmp_path / "wheels", "demo", EVERYTHING, executable=EXECUTABLE)
    builder = layer_builder(tmp_path / "wheels", tmp_path / "cache", version="3.11.2", codec=codec)
    layer = builder.make(layer_of(wheel))
    assert (layer.diff_id, layer.digest) == GOLDEN[codec]


def test_nothing_is_read_when_nothing_is_made(tmp_path):
    folder = tmp_path / "wheels"
    layer = layer_of(write_wheel(folder))
    builder = layer_builder(folder, tmp_path / "cache", python=this_python())
    made = make_wheel_layers([layer], builder)
    (folder / layer.wheels[0].file).unlink()
    assert make_wheel_layers([layer], layer_builder(folder, tmp_path / "cache", python=this_python())) == made


def test_a_small_wheel_is_compiled_once_whatever_layer_it_is_in(tmp_path):
    folder = tmp_path / "wheels"
    one, two, three = (write_wheel(folder, name, {f"{name}.py": SOURCE}) for name in ("one", "two", "three"))
    real, compiled = this_python(), []

    def counting(arguments, sources):
        compiled.append(sources)
        return real.run(arguments, sources)

    def builder(cache, python):
        return layer_builder(folder, tmp_path / cache, python=python)

    counted = builder("kept", CompilingPython(VERSION, counting))
    make_wheel_layers([layer_of(one, two)], counted)
    assert len(compiled) == 2

    again = make_wheel_layers([layer_of(one, two, three)], counted)

    assert len(compiled) == 3
    assert again == make_wheel_layers([layer_of(one, two, three)], builder("fresh", real))


def test_kept_bytecode_that_was_damaged_is_found_and_made_anew(tmp_path):
    folder = tmp_path / "wheels"
    one, two = (write_wheel(folder, name, {f"{name}.py": SOURCE}) for name in ("one", "two"))

    def make():
        builder = layer_builder(folder, tmp_path / "cache", python=this_python())
        return builder, make_wheel_layers([layer_of(one, two)], builder)

    builder, (layer,) = make()
    for path in (tmp_path / "cache").glob("layers/sha256/*"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    builder.cache.discard(layer.digest)

    for _ in range(2):
        with pytest.raises(IntegrityError, match="was damaged"):
            make()

    assert make()[1] == (layer,)


def test_progress_ends_with_all_bytes(tmp_path):
    folder = tmp_path / "wheels"
    layers = [layer_of(write_wheel(folder, name)) for name in ("one", "two")]
    progress = RecordedProgress()
    make_wheel_layers(layers, layer_builder(folder, tmp_path / "cache"), progress=progress)
    size = sum(layer.size for layer in layers)
    assert (progress.bytes[0], progress.bytes[-1]) == ((0, size), (size, size))
    again = RecordedProgress()
    make_wheel_layers(layers, layer_builder(folder, tmp_path / "cache"), progress=again)
    assert again.bytes == []


# --- what is wrong with wheels ------------------------------------------------------------------


def failure(tmp_path, *layers, python=None):
    builder = layer_builder(tmp_path / "wheels", tmp_path / "cache", python=python)
    with pytest.raises((IntegrityError, BuildFailedError)) as caught:
        make_wheel_layers(layers, builder)
    assert not list((tmp_path / "cache").glob("layers/partial/*"))
    return caught.value


@pytest.mark.parametrize(
    "path",
    [
        "../evil.py",
        "demo-1.0.data/data/../../../evil",
        "demo-1.0.data/scripts/../evil",
        "/evil",
        "a/../../evil",
    ],
)
def test_a_path_that_leaves_its_folder_is_refused(tmp_path, path):
    error = failure(tmp_path, layer_of(write_wheel(tmp_path / "wheels", "demo", {path: b"evil"})))
    assert str(error).startswith("demo-1.0-py3-none-any.whl is not a wheel that can be installed: ")
    said = ("leaves its folder", "is not contained in a valid .data", "Can't mix absolute and relative paths")
    assert any(text in str(error) for text in said)
    assert not list((tmp_path / "cache").glob("layers/sha256/*"))


def test_a_symbolic_link_is_a_file_as_the_format_has_none(tmp_path):
    """Also pip writes the target as the content: nothing outside can be reached through it."""
    path = write_wheel(tmp_path / "wheels", "demo", {"link": b"/etc/passwd"})
    data = path.read_bytes()
    plain = (0o100644 << 16).to_bytes(4, "little")
    assert plain in data
    path.write_bytes(data.replace(plain, (0o120777 << 16).to_bytes(4, "little"), 1))
    builder = layer_builder(tmp_path / "wheels", tmp_path / "cache")
    layers = make_wheel_layers([layer_of(path)], builder)
    assert entries_of(builder, layers)[f"opt/venv/{SITE}/link"] == (0o644, b"/etc/passwd")


@pytest.mark.parametrize("recorded", ["sha256=" + "A" * 43, "sha512=" + "A" * 86])
def test_a_file_that_contradicts_the_record_is_refused(tmp_path, recorded):
    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo.py": b"x"}, record={"demo.py": recorded})
    assert str(failure(tmp_path, layer_of(wheel))) == (
        "demo-1.0-py3-none-any.whl is not a wheel that can be installed: "
        "demo.py does not have the hash its RECORD states"
    )


@pytest.mark.parametrize("recorded", ["nonsense", "rot13=AAAA", "sha256=AAAA", "sha256=\u00e9"])
def test_a_record_that_makes_no_sense_is_refused(tmp_path, recorded):
    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo.py": b"x"}, record={"demo.py": recorded})
    assert "is not a wheel that can be installed" in str(failure(tmp_path, layer_of(wheel)))


def test_a_file_without_a_hash_is_taken_as_it_is(tmp_path):
    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo.py": b"x = 1"}, record={"demo.py": ""})
    builder = layer_builder(tmp_path / "wheels", tmp_path / "cache")
    layers = make_wheel_layers([layer_of(wheel)], builder)
    assert entries_of(builder, layers)[f"opt/venv/{SITE}/demo.py"] == (0o644, b"x = 1")


def rewrite(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """Ten megabytes that inflate to ten gigabytes of zeros, honestly declared."""
    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo.py": b""})
    size = 10 << 30
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    packed = piece * (size >> 20) + compressor.flush()
    assert zlib.decompressobj(-15).decompress(packed[: 3 * len(piece)]) == bytes(3 << 20)
    # zipfile cannot be handed what is packed already
    archive: Any = zipfile.ZipFile(wheel, "a")
    with archive:
        info = zipfile.ZipInfo("zeros")
        info.compress_type, info.compress_size, info.file_size = zipfile.ZIP_DEFLATED, len(packed), size
        info.header_offset, info.CRC = archive.start_dir, 0
        archive.fp.seek(archive.start_dir)
        archive.fp.write(info.FileHeader(zip64=True) + packed)
        archive.start_dir = archive.fp.tell()
        archive.filelist.append(info)
        archive._didModify = True
    assert zipfile.ZipFile(wheel).getinfo("zeros").file_size == size
    error = failure(tmp_path, layer_of(wheel))
    assert f"zeros unpacks to {size} bytes, an absurd amount" in str(error)


def test_a_record_of_absurd_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(wheel_archive, "LARGEST_DIST_INFO", 1000)
    wheel = write_wheel(tmp_path / "wheels", "demo", {f"{number}.py": b"" for number in range(20)})
    assert "demo-1.0.dist-info/RECORD has more than 1000 bytes" in str(failure(tmp_path, layer_of(wheel)))


def test_a_file_larger_than_declared_is_refused(tmp_path):
    wheel = write_wheel(
        tmp_path / "wheels", "demo", {"zeros": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED
    )
    packed = zipfile.ZipFile(wheel).getinfo("zeros").compress_size.to_bytes(4, "little")
    rewrite(wheel, packed + (1 << 20).to_bytes(4, "little"), packed + (1000).to_bytes(4, "little"))
    assert "zeros does not have the size its RECORD states" in str(failure(tmp_path, layer_of(wheel)))


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "empty zip"]
)
def test_a_file_that_is_no_wheel_is_refused(tmp_path, content):
    path = tmp_path / "wheels" / "demo-1.0-py3-none-any.whl"
    path.parent.mkdir()
    path.write_bytes(content)
    wheel = locked(path, size=1)
    assert "is not a wheel that can be installed" in str(failure(tmp_path, WheelLayer((wheel,))))


@pytest.mark.parametrize("together", [True, False], ids=["one layer", "two layers"])
def test_wheels_that_disagree_on_files_are_named_with_all_of_them(tmp_path, together):
    one = write_wheel(tmp_path / "wheels", "one", {"same.py": b"1", "also.py": b"1", "agreed.py": b"1"})
    two = write_wheel(tmp_path / "wheels", "two", {"same.py": b"2", "also.py": b"2", "agreed.py": b"1"})
    layers = [layer_of(one, two)] if together else [layer_of(one), layer_of(two)]
    error = failure(tmp_path, *layers)
    assert str(error) == "wheels conflict"
    assert sorted(map(str, error.problems)) == [
        f"two-1.0-py3-none-any.whl: it and one-1.0-py3-none-any.whl both bring /opt/venv/{SITE}/{name}, "
        "with different content"
        for name in ("also.py", "same.py")
    ]


def test_a_file_and_a_folder_of_one_name_are_named(tmp_path):
    one = write_wheel(tmp_path / "wheels", "one", {"same": b"1"})
    two = write_wheel(tmp_path / "wheels", "two", {"same/x": b"2"})
    error = failure(tmp_path, layer_of(one), layer_of(two))
    (problem,) = error.problems
    assert str(problem) == (
        f"two-1.0-py3-none-any.whl: it and one-1.0-py3-none-any.whl both bring /opt/venv/{SITE}/same, "
        "a file and a folder"
    )


def test_the_environment_itself_is_never_replaced(tmp_path):
    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo-1.0.data/scripts/python": b"#!python\n"})
    error = failure(tmp_path, layer_of(wheel))
    (problem,) = error.problems
    assert str(problem) == (
        "demo-1.0-py3-none-any.whl: it and the environment itself both bring /opt/venv/bin/python, "
        "with different content"
    )


def test_an_interpreter_that_fails_is_said_so(tmp_path):
    def fail(arguments, sources):
        outcome = this_python().run(["-c", "import sys; sys.exit('no memory')"], sources)
        assert outcome.exit_status == 1
        return outcome

    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo.py": SOURCE})
    error = failure(tmp_path, layer_of(wheel), python=CompilingPython(VERSION, fail))
    assert str(error) == "compiling demo-1.0-py3-none-any.whl failed"
    assert error.detail == "no memory"


def test_another_interpreter_than_the_locked_one_is_refused(tmp_path):
    wheel = write_wheel(tmp_path / "wheels", "demo", {"demo.py": SOURCE})
    major, minor, _ = VERSION.split(".")
    python = CompilingPython(f"{major}.{minor}.99", this_python().run)
    error = failure(tmp_path, layer_of(wheel), python=python)
    assert str(error) == f"the image's Python is {VERSION}, the lock says {major}.{minor}.99"
