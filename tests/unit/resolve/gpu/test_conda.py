from envbuild.resolve.gpu.conda import with_conda
from envbuild.resolve.gpu.derive import GpuPackage, derive
from tests.rig.locks import conda_package

NOTHING = derive(())


def test_the_runtime_package_says_the_version():
    derived = with_conda(
        NOTHING,
        [
            conda_package("cuda-version", "12.6"),
            conda_package("cuda-cudart", "12.6.77"),
            conda_package("cudnn", "9.3.0.75"),
        ],
    )
    assert (derived.vendor, derived.runtime, derived.majors) == ("nvidia", "12.6", (12,))
    assert derived.evidence[0] == "cuda-cudart 12.6.77 is the runtime library of CUDA 12.6"
    assert [(library.soname, library.provider, library.path) for library in derived.libraries] == [
        ("libcudart.so.12", "conda cuda-cudart", "lib/libcudart.so.12"),
        ("libcudnn.so.9", "conda cudnn", "lib/libcudnn.so.9"),
    ]


def test_cudatoolkit_is_the_whole_toolkit():
    derived = with_conda(NOTHING, [conda_package("cudatoolkit", "11.8.0")])
    assert (derived.runtime, derived.toolkit) == ("11.8", "11.8.0")
    assert derived.libraries[0].soname == "libcudart.so.11.0"


def test_a_build_string_says_it_when_nothing_else_does():
    for build, cuda in (
        ("cuda126_py311_0", "12.6"),
        ("cuda_12.4_h1", "12.4"),
        ("gpu_cuda118h_0", "11.8"),
        ("cuda112py_1", "11.2"),
    ):
        derived = with_conda(NOTHING, [conda_package("accel", build=build)])
        assert derived.runtime == cuda, build


def test_a_held_version_alone_is_no_cuda():
    assert with_conda(NOTHING, [conda_package("cuda-version", "12.6"), conda_package("zlib")]) == NOTHING


def test_what_wheels_look_for_in_the_system_conda_may_bring():
    wheels = derive([GpuPackage(name="tensorflow", version="2.15.0")])
    assert wheels.needs
    brought = with_conda(
        wheels, [conda_package("cuda-cudart", "12.2.140"), conda_package("cudnn", "8.9.7.29")]
    )
    assert brought.needs == ()
    assert with_conda(wheels, [conda_package("zlib")]) == wheels
