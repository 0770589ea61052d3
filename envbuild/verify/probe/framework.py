"""Import a framework as users do, and see which libraries that brings in and whether a GPU computes.

The environment's own interpreter answers, with site: what it loads is what users get.
"""

from collections.abc import Iterable, Iterator

from envbuild.verify.checks.gpu_facts import ImportFacts, KernelFacts
from envbuild.verify.probe.isolated import ask

_PATIENCE = 900.0
"""Seconds: a first import from a cold disk reads gigabytes, a first kernel may be compiled."""

# Sum of 2x + 1 over 0 … 1023: a kernel of the framework's own, with a result known beforehand.
_EXPECTED = 1_048_576

_COMMON = f"""
import re
NAMES = (
    "cudart|cublas(Lt)?|cudnn\\\\w*|cufft\\\\w*|cufile\\\\w*|cupti|curand|cusolver\\\\w*|cusparse\\\\w*|nccl|nvJitLink"
    "|nvrtc[-\\\\w]*|nvshmem\\\\w*|amdhip64|rccl|MIOpen|hipblas\\\\w*|rocblas|hsa-runtime64"
)
LIBRARY = re.compile(f"lib({{NAMES}})(-[0-9a-f]+)?[.]so")
answer = {{"version": None, "kernels": [], "no-kernels": None}}
def first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
def on_each(count, compute):
    for index in range(count):
        try:
            result, name = compute(index)
            answer["kernels"].append([index, int(result) == {_EXPECTED}, f"{{name}}: {{result}}"])
        except Exception as error:
            answer["kernels"].append([index, False, first_line(error)])
"""

_CLOSING = """
with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
    paths = {line[line.index("/"):].rstrip("\\n") for line in maps if "/" in line}
answer["mapped"] = sorted(path for path in paths if LIBRARY.match(path.rpartition("/")[2]))
reply(answer)
"""

_PROGRAMS = {
    "torch": """
import torch
answer["version"] = torch.__version__
def compute(index):
    device = torch.device("cuda", index)
    result = (torch.arange(1024, device=device, dtype=torch.float32) * 2 + 1).sum().item()
    return result, torch.cuda.get_device_name(device)
try:
    torch.cuda.init()
except Exception as error:
    answer["no-kernels"] = first_line(error)
else:
    on_each(torch.cuda.device_count(), compute)
""",
    "jax": """
import jax
import jax.numpy as jnp
answer["version"] = jax.__version__
try:
    devices = jax.devices("gpu")
except Exception as error:
    answer["no-kernels"] = first_line(error)
else:
    def compute(index):
        with jax.default_device(devices[index]):
            return (jnp.arange(1024, dtype=jnp.int32) * 2 + 1).sum().item(), devices[index].device_kind
    on_each(len(devices), compute)
""",
    "tensorflow": """
import tensorflow as tf
answer["version"] = tf.__version__
devices = tf.config.list_physical_devices("GPU")
def compute(index):
    with tf.device(f"/GPU:{index}"):
        result = tf.reduce_sum(tf.range(1024, dtype=tf.float32) * 2 + 1).numpy()
    return float(result), tf.config.experimental.get_device_details(devices[index]).get("device_name", "GPU")
on_each(len(devices), compute)
if not devices:
    answer["no-kernels"] = "tensorflow sees no GPU"
""",
}


def import_facts(python: str, frameworks: Iterable[str]) -> Iterator[ImportFacts]:
    """Yield what comes of importing each framework with ``python``, the environment's interpreter."""
    for framework in frameworks:
        if framework in _PROGRAMS:
            yield _import(python, framework)


def _import(python: str, framework: str) -> ImportFacts:
    program = _COMMON + _PROGRAMS[framework] + _CLOSING
    try:
        asked = ask(python, program, seconds=_PATIENCE)
    except OSError as error:
        return ImportFacts(framework=framework, problem=f"{python} cannot be started: {error.strerror}")
    if asked.problem:
        return ImportFacts(framework=framework, problem=asked.problem)
    answer = asked.value
    return ImportFacts(
        framework=framework,
        version=answer["version"],
        mapped=tuple(answer["mapped"]),
        kernels=tuple(
            KernelFacts(index=index, succeeded=succeeded, detail=detail)
            for index, succeeded, detail in answer["kernels"]
        ),
        no_kernels=answer["no-kernels"],
    )
