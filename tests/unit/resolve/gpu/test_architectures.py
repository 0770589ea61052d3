import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError
from envbuild.lock.gpu import GpuArchitectures
from envbuild.lock.model import Wheel
from envbuild.progress import SilentProgress
from envbuild.resolve.gpu.architectures import WheelArchitectures, read_architectures, wheels_to_read
from envbuild.store.store import Store
from tests.rig.device_code import Entry, container, library

PADDING = b"\0" * 4096


def wheel(
    name: str, files: dict[str, bytes] | bytes, *, version: str = "1.0", requires: str = ""
) -> tuple[Wheel, bytes]:
    data = io.BytesIO()
    if isinstance(files, bytes):
        data.write(files)
    else:
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
    raw = data.getvalue()
    return Wheel(
        name=name,
        version=version,
        file=f"{name.replace('-', '_')}-{version}-cp311-cp311-manylinux_2_28_x86_64.whl",
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        requires=tuple(filter(None, [requires])),
    ), raw


TORCH = wheel(
    "torch",
    {
        "torch/lib/libtorch_cuda.so": library(container(Entry("sm_90"), Entry("sm_75"), Entry("compute_90")))
        + PADDING,
        "torch/lib/libnvrtc-builtins.so": library(b"", text=PADDING),
        "torch/__init__.py": b"libtorch_cuda.so",
    },
)
VISION = wheel(
    "torchvision",
    {
        "torchvision/_C.so": library(container(Entry("sm_75")), text=PADDING),
        "torchvision.libs/libnvjpeg.36e11081.so.13": library(container(Entry("sm_80")), text=PADDING),
    },
    requires="torch==1.0",
)
NCCL = wheel(
    "nvidia-nccl-cu13",
    {"nvidia/nccl/lib/libnccl.so.2": library(container(Entry("sm_80")), text=PADDING)},
    version="2.30.7",
)


class Desk:
    """A store, and a count of what is fetched into it."""

    def __init__(self, folder: Path, *made: tuple[Wheel, bytes]) -> None:
        self.store = Store(folder / "store")
        self.cache = folder / "cache"
        self.wheels = tuple(item for item, _ in made)
        self.content = {item.file: raw for item, raw in made}
        self.fetched: list[str] = []

    def fetch(self, wheels: Sequence[Wheel]) -> None:
        for item in wheels:
            self.fetched.append(item.name)
            self.store.add_bytes(self.content[item.file], sha256=item.sha256)

    def read(self) -> WheelArchitectures:
        return read_architectures(
            self.wheels, store=self.store, fetch=self.fetch, cache=self.cache, progress=SilentProgress()
        )


def test_libraries_are_read_out_of_the_wheels(tmp_path: Path) -> None:
    reading = Desk(tmp_path, TORCH, VISION, NCCL).read()
    assert [(item.library, item.role, item.cubins, item.ptx) for item in reading.architectures] == [
        ("nvidia/nccl/lib/libnccl.so.2", "support", {"sm_80": 1}, {}),
        ("torch/lib/libtorch_cuda.so", "framework", {"sm_75": 1, "sm_90": 1}, {"compute_90": 1}),
        ("torchvision.libs/libnvjpeg.36e11081.so.13", "support", {"sm_80": 1}, {}),
        ("torchvision/_C.so", "framework", {"sm_75": 1}, {}),
    ]
    assert list(reading.architectures[1].cubins) == ["sm_75", "sm_90"]
    assert reading.unread == ()


def test_what_was_read_once_is_not_even_fetched_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, TORCH, NCCL)
    first = desk.read()
    assert sorted(desk.fetched) == ["nvidia-nccl-cu13", "torch"]
    desk.fetched.clear()
    desk.store.discard(TORCH[0].sha256)
    assert desk.read() == first
    assert desk.fetched == []


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"format":0}', b'{"format":1,"libraries":[]}', b"[]", b"\xff"]
)
def test_a_damaged_reading_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    desk = Desk(tmp_path, NCCL)
    first = desk.read()
    (kept,) = (path for path in desk.cache.rglob("*") if path.is_file())
    kept.write_bytes(damage)
    assert desk.read() == first


def test_a_library_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    broken = library(b"\x01" * 64, text=PADDING)
    whole = library(container(Entry("sm_80")), text=PADDING)
    desk = Desk(
        tmp_path, wheel("torch", {"a/broken.so": broken, "a/cut.so": whole[:-70], "a/whole.so": whole})
    )
    for reading in (desk.read(), desk.read()):
        assert [item.library for item in reading.architectures] == ["a/whole.so"]
        file = "torch-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
        assert reading.unread == (
            f"{file}: a/broken.so its device code is not laid out as known",
            f"{file}: a/cut.so its section headers lie outside the file",
        )


def test_a_wheel_that_is_no_zip_file_is_an_integrity_error(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="is not a valid wheel"):
        Desk(tmp_path, wheel("torch", b"PK\x03\x04 and no more")).read()


def test_a_wheel_that_is_not_the_locked_one_is_not_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path, TORCH)
    desk.content[TORCH[0].file] = NCCL[1]
    with pytest.raises(IntegrityError):
        desk.read()


@pytest.mark.parametrize(
    ("name", "version", "requires", "read"),
    [
        ("torch", "2.14.1", "", True),
        ("flash-attn", "2.8", "torch", True),
        ("vllm", "0.33", "torch==2.14.0", True),
        ("xgboost", "3.0", "nvidia-nccl-cu12; platform_system == 'Linux'", True),
        ("jax-cuda12-plugin", "0.6", "jax-cuda12-pjrt==0.6", True),
        ("onnxruntime-gpu", "1.22", "numpy", True),
        ("cupy-cuda12x", "13.0", "numpy", True),
        ("mypackage", "1.0+cu126", "", True),
        ("nvidia-cublas", "13.1.1.3", "", True),
        ("nvidia-cufft", "12.0.0.61", "", False),
        ("nvidia-ml-py", "13.0", "", False),
        ("numpy", "2.3", "", False),
        ("scipy", "1.16", "numpy", False),
    ],
)
def test_only_wheels_that_may_hold_device_code_are_read(
    name: str, version: str, requires: str, read: bool
) -> None:
    made, _ = wheel(name, {}, version=version, requires=requires)
    assert wheels_to_read([made]) == ((made,) if read else ())


def test_wheels_of_plain_python_are_never_read() -> None:
    made, _ = wheel("lightning", {}, requires="torch")
    pure = made.model_copy(update={"file": "lightning-1.0-py3-none-any.whl"})
    assert wheels_to_read([pure]) == ()


def test_counts_come_out_in_the_order_of_architectures(tmp_path: Path) -> None:
    names = ("sm_120", "sm_90a", "sm_75", "sm_103f", "sm_90", "sm_100")
    data = library(container(*map(Entry, names)), text=PADDING)
    (found,) = Desk(tmp_path, wheel("torch", {"torch/lib/a.so": data})).read().architectures
    assert isinstance(found, GpuArchitectures)
    assert list(found.cubins) == ["sm_75", "sm_90", "sm_90a", "sm_100", "sm_103f", "sm_120"]
