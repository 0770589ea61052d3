import pytest

from envbuild.lock.diff import FactChange, PackageChange, TargetDiff, diff_projections, projections_of
from envbuild.lock.model import Lock
from tests.rig.growing import with_conda, with_debs, with_target, with_wheels, without_wheels
from tests.rig.locks import GPU, conda_lock, conda_package, deb, gpu_lock, image_base, sample_lock, wheel


def diff(old: Lock, new: Lock) -> TargetDiff:
    (target,) = diff_projections(projections_of(old), projections_of(new)).targets
    return target


def changes(target: TargetDiff) -> list[tuple[str, str, str | None, str | None]]:
    return [(change.kind, change.name, *change.versions) for change in target.packages]


def test_a_lock_does_not_differ_from_itself():
    found = diff_projections(projections_of(sample_lock()), projections_of(sample_lock()))

    assert not found.differs
    assert found.targets[0].content == ((), (), (), ())


def test_what_names_no_content_is_no_difference():
    moved = wheel("numpy", "2.3.4", size=16_000_000).model_copy(
        update={"path": "elsewhere/numpy.whl", "index": "mirror"}
    )

    assert not diff(sample_lock(), with_wheels(sample_lock(), moved)).differs


def test_packages_come_go_and_change():
    old = with_debs(sample_lock(), deb("curl", "7.88"))
    new = with_debs(
        without_wheels(with_wheels(sample_lock(), wheel("numpy", "2.4.0"), wheel("polars")), "joblib"),
        deb("git", "1:2.40"),
    )

    assert changes(diff(old, new)) == [
        ("wheel", "joblib", "1.5.2", None),
        ("wheel", "numpy", "2.3.4", "2.4.0"),
        ("wheel", "polars", None, "1.0"),
        ("deb", "curl", "7.88", None),
        ("deb", "git", "1:2.39.5-0+deb12u2", "1:2.40"),
    ]


def test_another_file_of_the_same_version_is_shown_by_digest():
    other = wheel("joblib", "1.5.2", size=308_000).model_copy(update={"sha256": "ab" * 32})

    target = diff(sample_lock(), with_wheels(sample_lock(), other))

    assert changes(target)[0][3] == "1.5.2 (abababababab)"


def test_sizes_are_those_of_all_locked_files():
    target = diff(sample_lock(), with_wheels(sample_lock(), wheel("polars", size=31_000_000)))

    assert target.new_size - target.old_size == 31_000_000


def test_packages_of_an_image_base_are_compared_too():
    old = sample_lock(image_base())
    newer = image_base().model_copy(update={"debs": ("libc6=2.36-9+deb12u14:amd64", "zlib1g=1:1.2.13:i386")})

    assert changes(diff(old, sample_lock(newer))) == [
        ("deb", "libc6", "2.36-9+deb12u13", "2.36-9+deb12u14"),
        ("deb", "zlib1g:i386", None, "1:1.2.13"),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"workdir": "/w"}, FactChange(name="workdir", old="/workspace", new="/w"), id="workdir"),
        pytest.param(
            {"command": ("jupyter", "lab")},
            FactChange(name="command", old="python", new="jupyter lab"),
            id="command",
        ),
        pytest.param(
            {"env": dict(sample_lock().targets[0].env) | {"PYTHONHASHSEED": "8"}},
            FactChange(name="env PYTHONHASHSEED", old="7", new="8"),
            id="changed-variable",
        ),
        pytest.param(
            {"env": dict(sample_lock().targets[0].env) | {"NEW": "x"}},
            FactChange(name="env NEW", old=None, new="x"),
            id="added-variable",
        ),
    ],
)
def test_facts_are_named(fields: dict[str, object], expected: FactChange):
    assert diff(sample_lock(), with_target(sample_lock(), **fields)).facts == (expected,)


def test_a_newer_base_image_shows_its_digest():
    old, new = image_base(), image_base()
    assert new.image is not None
    new = new.model_copy(update={"image": new.image.model_copy(update={"digest": f"sha256:{'cd' * 32}"})})

    (fact,) = diff(sample_lock(old), sample_lock(new)).facts

    assert fact.name == "base"
    assert fact.new == "registry.example.com/python:3.11-slim (cdcdcdcdcdcd)"


def test_cuda_driver_libraries_architectures_and_fleet_are_compared():
    newer = GPU.model_copy(
        update={
            "runtime": "13.2",
            "toolkit": "13.2.2",
            "driver_minimum": "590.1",
            "libraries": (GPU.libraries[0].model_copy(update={"version": "13.2.75"}),),
            "architectures": (
                GPU.architectures[0].model_copy(update={"cubins": {"sm_80": 4, "sm_100": 4, "sm_90": 4}}),
            ),
        }
    )

    target = diff(gpu_lock(), with_target(gpu_lock(), gpu=newer))

    assert [(fact.name, fact.old, fact.new) for fact in target.facts] == [
        ("CUDA", "13.0.3", "13.2.2"),
        ("minimum driver", "580.65.06", "590.1"),
        (
            "cudart (libcudart.so.13)",
            "13.0.96 by wheel nvidia-cuda-runtime",
            "13.2.75 by wheel nvidia-cuda-runtime",
        ),
    ]
    assert target.architectures_gained == ("sm_90", "sm_100")
    assert target.architectures_lost == ("sm_75",)


def test_support_libraries_do_not_decide_what_an_environment_runs_on():
    support = GPU.architectures[0].model_copy(
        update={"role": "support", "library": "nvidia/nccl/lib/libnccl.so.2", "cubins": {"sm_120": 1}}
    )
    more = GPU.model_copy(update={"architectures": (*GPU.architectures, support)})

    assert diff(gpu_lock(), with_target(gpu_lock(), gpu=more)).architectures_gained == ()


def test_targets_of_one_side_are_named():
    old = projections_of(sample_lock())
    new = {("cpu", "linux/amd64"): old["default", "linux/amd64"]}

    found = diff_projections(old, new)

    assert (found.targets, found.added, found.removed) == (
        (),
        (("cpu", "linux/amd64"),),
        (("default", "linux/amd64"),),
    )


def test_changes_are_packages_with_both_sides():
    (change,) = diff(sample_lock(), with_wheels(sample_lock(), wheel("polars"))).packages

    assert isinstance(change, PackageChange)
    assert change.old is None
    assert change.new is not None
    assert change.new.sha256 == wheel("polars").sha256


def test_conda_packages_are_shown_with_their_builds():
    zlib = conda_package("zlib", "1.3", "h1")
    new = with_conda(conda_lock(), conda_package("numpy", "2.3.4", "py311_1"), zlib)

    assert changes(diff(conda_lock(), new)) == [
        ("conda", "numpy", "2.3.4 py311_0", "2.3.4 py311_1"),
        ("conda", "zlib", None, "1.3 h1"),
    ]
