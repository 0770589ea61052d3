"""Where CUDA's libraries would be loaded from, with small doubles in C in the place of the real ones."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envbuild.verify.checks.gpu_facts import LibraryFacts
from envbuild.verify.probe.elf import DynamicSectionError, read_dynamic
from envbuild.verify.probe.libraries import library_facts, library_name, library_path
from tests.rig.driver import write_importer, write_library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="the doubles are compiled with gcc"),
]

CUDART = "libcudart.so.13"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder of packages in which one wheel brings cudart 13.0."""
    site = tmp_path / "site-packages"
    write_library(site / "nvidia/cu13/lib" / CUDART, 13000)
    return site


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a folder like a toolkit's, which holds cudart 13.1 under the same name."""
    return write_library(tmp_path / "cuda/lib64" / CUDART, 13010).parent


def look(site: Path, *, search: Path | None = None, soname: str = CUDART) -> LibraryFacts:
    environment = {"LD_LIBRARY_PATH": str(search)} if search else {}
    (facts,) = library_facts({soname: None}, folders=[str(site)], environment=environment)
    return facts


def import_by(site: Path, *, runpath: bool) -> Path:
    """Compile what stands in for a framework's library."""
    return write_importer(
        site / "torch/lib/libc10_cuda.so",
        needed=site / "nvidia/cu13/lib" / CUDART,
        rpath="$ORIGIN/../../nvidia/cu13/lib",
        runpath=runpath,
    )


def test_a_wheels_library_is_found_in_its_folder(site: Path) -> None:
    path = str(site / "nvidia/cu13/lib" / CUDART)
    assert look(site) == LibraryFacts(soname=CUDART, path=path, version="13.0", found_by="wheel")


def test_without_a_search_path_of_its_own_the_environment_wins(site: Path, elsewhere: Path) -> None:
    facts = look(site, search=elsewhere)
    assert (facts.path, facts.version) == (str(elsewhere / CUDART), "13.1")
    assert facts.found_by == "environment"


def test_an_rpath_is_immune_to_the_environment_but_others_are_not(site: Path, elsewhere: Path) -> None:
    asker = import_by(site, runpath=False)
    facts = look(site, search=elsewhere)
    assert facts == LibraryFacts(
        soname=CUDART,
        path=str(site / "nvidia/cu13/lib" / CUDART),
        version="13.0",
        wanted_by=str(asker),
        found_by="rpath",
        shadowed_by=str(elsewhere / CUDART),
    )


def test_a_runpath_is_not(site: Path, elsewhere: Path) -> None:
    import_by(site, runpath=True)
    assert look(site).found_by == "runpath"
    facts = look(site, search=elsewhere)
    assert (facts.path, facts.found_by) == (str(elsewhere / CUDART), "environment")


@pytest.mark.parametrize("runpath", [False, True])
def test_the_loader_itself_agrees(site: Path, elsewhere: Path, *, runpath: bool) -> None:
    """What is said here about rpath and runpath is what ld.so does."""
    asker = import_by(site, runpath=runpath)
    program = (
        f"import ctypes; ctypes.CDLL({str(asker)!r}); "
        f"print(*{{l.split()[-1] for l in open('/proc/self/maps') if {CUDART!r} in l}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"LD_LIBRARY_PATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == look(site, search=elsewhere).path


def test_what_is_opened_by_name_needs_not_be_listed(site: Path, elsewhere: Path) -> None:
    """XLA's plugin opens CUDA while it runs; the loader then uses that plugin's rpath all the same."""
    asker = write_importer(
        site / "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
        needed=write_library(site / "other/libother.so.1", 1),
        rpath="$ORIGIN/../../nvidia/cu13/lib",
        runpath=False,
    )
    facts = look(site, search=elsewhere)
    assert (facts.found_by, facts.wanted_by) == ("rpath", str(asker))


def test_a_path_that_is_a_link_is_told_by_its_file(tmp_path: Path) -> None:
    """As conda packages bring them: ``libcudart.so.12`` is a link, and processes show its file."""
    file = write_library(tmp_path / "lib/libcudart.so.12.6.77", 12060, soname="libcudart.so.12")
    link = tmp_path / "lib/libcudart.so.12"
    link.symlink_to(file.name)
    places = {"libcudart.so.12": str(link), "libnccl.so.2": str(tmp_path / "lib/libnccl.so.2")}
    cudart, nccl = library_facts(places, folders=[], environment={"LD_LIBRARY_PATH": str(tmp_path / "lib")})
    assert (cudart.path, cudart.leads_to, cudart.version) == (str(file), str(file), "12.6")
    assert nccl.leads_to is None


def test_a_library_that_is_nowhere(site: Path) -> None:
    facts = look(site, soname="libcudnn.so.99")
    assert facts.path is None
    assert facts.problem is not None
    assert facts.problem.startswith("libcudnn.so.99: cannot open shared object file")


def test_what_the_system_has_is_found_by_its_loader(site: Path) -> None:
    facts = look(site, soname="libm.so.6")
    assert facts.found_by == "loader"
    assert facts.path is not None
    assert Path(facts.path).name == "libm.so.6"


def test_a_library_that_cannot_be_loaded_is_a_problem(site: Path) -> None:
    path = site / "nvidia/cu13/lib" / CUDART
    path.write_bytes(path.read_bytes()[:200])
    facts = look(site)
    assert facts.version is None
    assert facts.problem is not None
    assert str(path) in facts.problem


@pytest.mark.parametrize(
    ("soname", "number", "version"),
    [
        ("libcudart.so.12", 12060, "12.6"),
        ("libcudnn.so.9", 92400, "9.24.0"),
        ("libcudnn.so.8", 8902, "8.9.2"),
        ("libnccl.so.2", 23007, "2.30.7"),
        ("libnccl.so.2", 2708, "2.7.8"),
        ("librccl.so.1", 22707, "2.27.7"),
        ("libamdhip64.so.6", 60241133, "6.2.41133"),
    ],
)
def test_versions_as_each_library_reports_them(
    tmp_path: Path, soname: str, number: int, version: str
) -> None:
    write_library(tmp_path / "nvidia/x/lib" / soname, number)
    assert look(tmp_path, soname=soname).version == version


@pytest.mark.parametrize(
    ("soname", "name"),
    [
        ("libcudart.so.13", "cudart"),
        ("libcudart-d0da41ae.so.11.0", "cudart"),
        ("libcudnn_ops_infer.so.8", "cudnn_ops_infer"),
        ("libhsa-runtime64.so.1", "hsa-runtime64"),
    ],
)
def test_names_of_libraries(soname: str, name: str) -> None:
    assert library_name(soname) == name


def test_folders_of_the_environment() -> None:
    assert library_path({"LD_LIBRARY_PATH": "/a:/b;/c:"}) == ("/a", "/b", "/c", ".")
    assert library_path({"LD_LIBRARY_PATH": ""}) == ()
    assert library_path({}) == ()


def test_the_dynamic_section_of_a_real_object(site: Path) -> None:
    dynamic = read_dynamic(import_by(site, runpath=True))
    assert dynamic.soname == "libc10_cuda.so"
    assert dynamic.needed[0] == CUDART
    assert dynamic.rpath == ()
    assert dynamic.runpath == (str(site / "torch/lib/../../nvidia/cu13/lib"),)


def test_damaged_objects_are_errors_never_crashes(site: Path, tmp_path: Path) -> None:
    whole = import_by(site, runpath=False).read_bytes()
    broken = tmp_path / "broken.so"
    for length in (0, 5, 64, 200, 700, len(whole) // 2):
        broken.write_bytes(whole[:length])
        with pytest.raises(DynamicSectionError):
            read_dynamic(broken)
    for position in range(0, 4096, 7):
        broken.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read_dynamic(broken)
        except (DynamicSectionError, OSError):
            continue
