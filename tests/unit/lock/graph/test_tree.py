from envbuild.lock.codec import dumps
from envbuild.lock.graph.model import PackageGraph, PackageKey
from envbuild.lock.graph.read import read_targets
from envbuild.lock.graph.tree import TreeRoot, reached_from, tree_lines
from envbuild.lock.model import Lock
from tests.rig.growing import with_debs, with_target, with_wheels
from tests.rig.locks import deb, sample_lock, wheel


def graph_of(lock: Lock) -> PackageGraph:
    return read_targets(dumps(lock)).targets[0].graph()


def shown(graph: PackageGraph, *names: str, depth: int | None = None, invert: bool = False) -> list[str]:
    roots = [TreeRoot(package=graph.named(name)[0]) for name in names]
    return [
        f"{'  ' * line.level}{line.requested.requirement if line.requested else line.package.name}"
        f"{' (*)' if line.is_repeated else ''}"
        for line in tree_lines(graph, roots, depth=depth, invert=invert)
    ]


DIAMOND = graph_of(
    with_wheels(
        with_target(sample_lock(), wheels=()),
        wheel("top", requires=("left", "right")),
        wheel("left", requires=("below",)),
        wheel("right", requires=("below", "top")),
        wheel("below", requires=("leaf",)),
        wheel("leaf"),
        asks=("top",),
    )
)


def test_each_package_is_opened_once() -> None:
    assert shown(DIAMOND, "top") == [
        "top",
        "  left",
        "    below",
        "      leaf",
        "  right",
        "    below (*)",
        "    top (*)",
    ]


def test_a_package_without_requirements_is_not_marked() -> None:
    assert shown(DIAMOND, "leaf", "leaf") == ["leaf", "leaf"]


def test_the_depth_is_that_below_the_first_level() -> None:
    assert shown(DIAMOND, "top", depth=0) == ["top"]
    assert shown(DIAMOND, "top", depth=1) == ["top", "  left", "  right"]


def test_an_inverted_tree_ends_at_what_is_asked_for() -> None:
    assert shown(DIAMOND, "leaf", invert=True) == [
        "leaf",
        "  below",
        "    left",
        "      top",
        "        top",
        "        right",
        "          top (*)",
        "    right (*)",
    ]


def test_what_packages_of_the_base_require_is_shown_below_a_root_alone() -> None:
    graph = graph_of(with_debs(sample_lock(), deb("git", depends=("bash", "libc6"))))

    assert shown(graph, "git") == ["git", "  bash", "  libc6"]
    assert shown(graph, "bash") == ["bash", "  base-files", "  libc6"]


def test_what_is_reached() -> None:
    keys: list[PackageKey] = [
        ("environment", "wheel", name) for name in ("top", "left", "right", "below", "leaf")
    ]

    assert reached_from(DIAMOND, [keys[0]]) == tuple(keys)
    assert reached_from(DIAMOND, [keys[0]], depth=1) == tuple(keys[:3])
    assert set(reached_from(DIAMOND, [keys[4]], invert=True)) == set(keys)


def test_sizes_count_each_package_once() -> None:
    (line, *_) = tree_lines(DIAMOND, [TreeRoot(package=DIAMOND.named("top")[0])], sizes=True)

    assert line.total == 5 * 5_000
