"""Importing a framework and letting GPUs compute, with small modules in the frameworks' places.

They are test doubles: the real ones weigh gigabytes and compute on GPUs, of which there are none here.  Each
answers the few calls the probe makes; `tests/integration/test_gpu_machine.py` makes them for real.
"""

import shutil
import sys
from pathlib import Path

import pytest

from envbuild.verify.checks.gpu_facts import ImportFacts, KernelFacts
from envbuild.verify.checks.target import FRAMEWORKS
from envbuild.verify.probe import framework
from envbuild.verify.probe.framework import import_facts
from tests.rig.driver import write_library

TORCH = """
import ctypes
__version__ = "2.14.1"
float32 = None
ctypes.CDLL({library!r})
print("a framework that talks")
class device:
    def __init__(self, kind, index): self.index = index
class Tensor(list):
    def __mul__(self, by): return Tensor(x * by for x in self)
    def __add__(self, by): return Tensor(x + by for x in self)
    def sum(self): return Result(sum(self))
class Result(float):
    def item(self): return float(self)
def arange(count, device, dtype):
    if device.index in {broken!r}:
        raise RuntimeError("CUDA error: no kernel image is available\\nlong advice")
    return Tensor(range(count + (device.index in {wrong!r})))
class cuda:
    def init():
        {init}
    def device_count(): return {count}
    def get_device_name(device): return "Tesla T4"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which the interpreter finds modules first."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def ask(name: str = "torch") -> ImportFacts:
    (facts,) = import_facts(sys.executable, [name])
    return facts


def write_torch(
    folder: Path,
    *,
    count: int = 1,
    init: str = "pass",
    broken: tuple[int, ...] = (),
    wrong: tuple[int, ...] = (),
) -> str:
    library = str(write_library(folder / "cuda/libcudart.so.13", 13000))
    text = TORCH.format(library=library, count=count, init=init, broken=broken, wrong=wrong)
    (folder / "torch.py").write_text(text)
    return library


needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="the double is compiled with gcc")


@needs_compiler
def test_libraries_in_the_process_and_a_result_of_each_gpu(install: Path) -> None:
    library = write_torch(install, count=4, broken=(1,), wrong=(2,))
    facts = ask()
    assert (facts.framework, facts.version, facts.problem) == ("torch", "2.14.1", None)
    # the C library and all else in the process are not CUDA's
    assert facts.mapped == (library,)
    assert facts.kernels == (
        KernelFacts(index=0, succeeded=True, detail="Tesla T4: 1048576.0"),
        KernelFacts(index=1, succeeded=False, detail="CUDA error: no kernel image is available"),
        KernelFacts(index=2, succeeded=False, detail="Tesla T4: 1050625.0"),
        KernelFacts(index=3, succeeded=True, detail="Tesla T4: 1048576.0"),
    )


@needs_compiler
def test_why_nothing_was_computed(install: Path) -> None:
    write_torch(install, init='raise RuntimeError("Found no NVIDIA driver\\nmore")')
    facts = ask()
    assert (facts.kernels, facts.no_kernels) == ((), "Found no NVIDIA driver")
    assert len(facts.mapped) == 1


JAX = """
__version__ = "0.12.0"
from types import SimpleNamespace
import contextlib
def devices(kind):
    assert kind == "gpu"
    return [SimpleNamespace(device_kind="NVIDIA H100")]
default_device = contextlib.nullcontext
"""
JAX_NUMPY = """
int32 = None
class Array(list):
    def __mul__(self, by): return Array(x * by for x in self)
    def __add__(self, by): return Array(x + by for x in self)
    def sum(self): return Number(sum(self))
class Number(int):
    def item(self): return int(self)
def arange(count, dtype): return Array(range(count))
"""


def test_jax_is_asked_in_its_own_words(install: Path) -> None:
    (install / "jax").mkdir()
    (install / "jax/__init__.py").write_text(JAX)
    (install / "jax/numpy.py").write_text(JAX_NUMPY)
    facts = ask("jax")
    assert facts.problem is None
    assert facts.kernels == (KernelFacts(index=0, succeeded=True, detail="NVIDIA H100: 1048576"),)


TENSORFLOW = """
__version__ = "2.21.0"
from types import SimpleNamespace
import contextlib
float32 = None
class Tensor(list):
    def __mul__(self, by): return Tensor(x * by for x in self)
    def __add__(self, by): return Tensor(x + by for x in self)
def range(count, dtype): return Tensor(__builtins__["range"](count))
def reduce_sum(values): return SimpleNamespace(numpy=lambda: float(sum(values)))
device = contextlib.nullcontext
config = SimpleNamespace(
    list_physical_devices=lambda kind: {devices},
    experimental=SimpleNamespace(get_device_details=lambda device: {{"device_name": "Tesla T4"}}),
)
"""


@pytest.mark.parametrize(
    ("devices", "kernels", "reason"),
    [
        ('["GPU:0"]', (KernelFacts(index=0, succeeded=True, detail="Tesla T4: 1048576.0"),), None),
        ("[]", (), "tensorflow sees no GPU"),
    ],
)
def test_tensorflow_is_asked_in_its_own_words(
    install: Path, devices: str, kernels: tuple[KernelFacts, ...], reason: str | None
) -> None:
    (install / "tensorflow.py").write_text(TENSORFLOW.format(devices=devices))
    facts = ask("tensorflow")
    assert (facts.problem, facts.kernels, facts.no_kernels) == (None, kernels, reason)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise ImportError('libcudnn.so.9: cannot open')", "ImportError: libcudnn.so.9: cannot open"),
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "the interpreter was ended by signal 9"),
    ],
)
def test_a_framework_that_cannot_be_imported(install: Path, text: str, problem: str) -> None:
    (install / "torch.py").write_text(text)
    assert ask().problem == problem


def test_an_import_that_never_ends(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "_PATIENCE", 0.5)
    (install / "torch.py").write_text("import time; time.sleep(600)")
    assert ask().problem == "no answer within 0 seconds"


def test_an_interpreter_that_is_not_there() -> None:
    (facts,) = import_facts("/nowhere/python", ["torch"])
    assert facts.problem == "/nowhere/python cannot be started: No such file or directory"


def test_every_framework_that_is_asked_about_has_its_words() -> None:
    assert tuple(sorted(framework._PROGRAMS)) == FRAMEWORKS
