"""For machines with an NVIDIA GPU (`make test-gpu`): what the doubles play, done for real."""

import importlib.util
import sys

import pytest

from envbuild.verify.checks.target import FRAMEWORKS
from envbuild.verify.host import host_facts
from envbuild.verify.probe.framework import import_facts

pytestmark = pytest.mark.gpu


def test_the_driver_names_itself_and_its_gpus() -> None:
    facts = host_facts().gpu
    assert facts is not None
    driver = facts.drivers["nvidia"]
    assert (driver.state, driver.library_status) == ("ready", 0)
    assert driver.version
    assert driver.cuda
    assert driver.library_cuda
    devices = [device for device in facts.devices if device.vendor == "nvidia"]
    assert devices
    for device in devices:
        assert device.problem is None
        assert device.name
        assert device.memory
        assert device.architecture
        assert device.architecture.startswith("sm_")
    assert facts.cards["nvidia"] >= 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_computes_on_each_gpu(framework: str) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed beside the tests")
    (facts,) = import_facts(sys.executable, [framework])
    assert facts.problem is None
    assert facts.mapped
    assert facts.kernels
    assert all(kernel.succeeded for kernel in facts.kernels), facts.kernels
