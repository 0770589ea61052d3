from envbuild.lock.codec import dumps
from envbuild.lock.graph.model import PackageGraph
from envbuild.lock.graph.read import read_targets
from envbuild.lock.graph.reasons import PackageReasons, reasons_for
from envbuild.lock.model import Lock
from tests.rig.growing import with_debs, with_wheels
from tests.rig.locks import conda_lock, deb, gpu_lock, sample_lock, source_lock, wheel


def graph_of(lock: Lock) -> PackageGraph:
    return read_targets(dumps(lock)).targets[0].graph()


def reasons(lock: Lock, name: str) -> PackageReasons:
    graph = graph_of(lock)
    return reasons_for(graph, graph.named(name)[0])


def chains(lock: Lock, name: str) -> list[tuple[str, ...]]:
    """Return each chain: what is asked for, then who requires what."""
    return [
        (chain.requested.requirement, *(f"{edge.source[2]}>{edge.target[2]}" for edge in chain.steps))
        for chain in reasons(lock, name).chains
    ]


def test_what_is_asked_for_comes_before_what_is_required() -> None:
    assert chains(sample_lock(), "numpy") == [("numpy>=2",), ("scikit-learn", "scikit-learn>numpy")]


def test_the_shortest_chain_of_each_requirer_comes_first() -> None:
    lock = with_wheels(
        sample_lock(),
        wheel("app", requires=("near", "far")),
        wheel("near", requires=("lib<2",)),
        wheel("far", requires=("middle",)),
        wheel("middle", requires=("lib",)),
        wheel("lib", requires=("app",)),
        asks=("app",),
    )

    assert chains(lock, "lib") == [
        ("app", "app>near", "near>lib"),
        ("app", "app>far", "far>middle", "middle>lib"),
    ]


def test_a_chain_does_not_lead_through_the_package_itself() -> None:
    lock = with_wheels(sample_lock(), wheel("a", requires=("b",)), wheel("b", requires=("a",)), asks=("a",))

    assert chains(lock, "a") == [("a",)]
    assert chains(lock, "b") == [("a", "a>b")]


def test_a_chain_leads_through_extras_that_were_asked_for() -> None:
    lock = with_wheels(
        sample_lock(),
        wheel("server", requires=('loop; extra == "fast"',)),
        wheel("tool", requires=("server[fast]",)),
        wheel("loop"),
        asks=("server", "tool"),
    )

    # the server that is asked for without the extra is no reason
    assert chains(lock, "loop") == [("tool", "tool>server", "server>loop")]


def test_an_extra_of_the_same_distribution_is_a_step() -> None:
    lock = with_wheels(
        sample_lock(),
        wheel("app", requires=('app[x]; extra == "all"', 'lib; extra == "x"')),
        wheel("lib"),
        asks=("app[all]",),
    )

    assert chains(lock, "lib") == [("app[all]", "app>app", "app>lib")]


def test_what_keeps_newer_versions_out_is_named() -> None:
    lock = with_wheels(sample_lock(), wheel("old", requires=("numpy<3,>=1",)), asks=("old", "numpy<4"))

    assert [(one.by, one.bound) for one in reasons(lock, "numpy").bounds] == [
        ("[pip]", "<4"),
        ("old 1.0", "<3"),
    ]


def test_constraints_keep_newer_versions_out() -> None:
    lock = sample_lock()
    variant = lock.request.variants["default"]
    pip = variant.pip.model_copy(update={"constraints": ("joblib<2", 'numpy<3; python_version < "3"')})
    variants = {"default": variant.model_copy(update={"pip": pip})}
    lock = lock.model_copy(update={"request": lock.request.model_copy(update={"variants": variants})})

    assert [(one.by, one.bound) for one in reasons(lock, "joblib").bounds] == [("[pip] constraints", "<2")]
    assert reasons(lock, "numpy").bounds == ()


def test_a_package_of_the_base_is_counted_with_those_that_require_it_there() -> None:
    found = reasons(sample_lock(), "libc6")

    assert (found.package.part, found.required_in_base) == ("base", 3)
    assert chains(sample_lock(), "libc6") == [("git", "git>libc6")]


def test_debs_that_depend_on_each_other_come_to_an_end() -> None:
    lock = with_debs(
        sample_lock(),
        deb("git", depends=("perl",)),
        deb("perl", depends=("perl-modules (<< 6)",)),
        deb("perl-modules", depends=("perl",)),
    )

    assert chains(lock, "perl-modules") == [("git", "git>perl", "perl>perl-modules")]
    assert [(one.by, one.bound) for one in reasons(lock, "perl-modules").bounds] == [("perl 1.0-1", "<< 6")]


def test_conda_packages_are_followed() -> None:
    assert chains(conda_lock(), "python")[:2] == [("python 3.11.*",), ("3.11",)]
    assert ("numpy >=2", "numpy>python") in chains(conda_lock(), "python")


def test_a_tool_has_no_chain() -> None:
    found = reasons(sample_lock(), "installer")

    assert (found.package.part, found.chains) == ("tool", ())


def test_what_a_wheel_was_built_with_is_named() -> None:
    lock = source_lock()
    name = next(item.name for item in lock.wheels if item.hash_source == "built")

    assert {package.part for package in reasons(lock, name).built_with} == {"build"}


def test_libraries_of_the_gpu_are_a_reason() -> None:
    lock = with_wheels(gpu_lock(), wheel("nvidia-cuda-runtime"), asks=("nvidia-cuda-runtime",))

    assert reasons(lock, "nvidia-cuda-runtime").gpu_libraries == ("cudart",)
