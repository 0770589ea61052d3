"""Layers as folders, and changes as layers: both directions, and what is refused."""

import hashlib
import io
import os
import resource
import stat
import tarfile

import pytest

from envbuild.errors import IntegrityError
from envbuild.formats.compression import codec_of
from envbuild.formats.tar_reader import LayerError
from envbuild.image.local.layers.changes import diff_layer
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.image.local.roots.private_root import PrivateRoot
from envbuild.image.local.roots.unpack import OPAQUE, extent_of, unpack_layer
from tests.rig.small_root import ENV, make_small_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="owners and removals need root, or subordinate ids"),
]

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service, effective: what `setcap` writes."""


def entry(name, content=b"", **fields):
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, content


def folder(name, **fields):
    return entry(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def link(name, target, kind=tarfile.SYMTYPE):
    return entry(name, type=kind, linkname=target)


def archive(*entries):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for made, content in entries:
            opened.addfile(made, io.BytesIO(content))
    return packed.getvalue()


def unpack(place, *entries):
    data = archive(*entries)
    place.mkdir()
    unpack_layer([data], place, diff_id=f"sha256:{hashlib.sha256(data).hexdigest()}")
    return place


def test_owners_modes_times_and_capabilities_are_the_layers(tmp_path):
    old = os.umask(0o077)
    try:
        tree = unpack(
            tmp_path / "tree",
            folder("d", uid=3, gid=4, mode=0o1777, mtime=5),
            entry("d/f", b"x", uid=1, gid=2, mode=0o4755, mtime=7),
            entry(
                "d/ping",
                pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode(errors="surrogateescape")},
            ),
        )
    finally:
        os.umask(old)
    state, parent = (tree / "d/f").stat(), (tree / "d").stat()
    assert (state.st_uid, state.st_gid, oct(state.st_mode), state.st_mtime) == (1, 2, "0o104755", 7)
    assert (parent.st_uid, parent.st_gid, oct(parent.st_mode), parent.st_mtime) == (3, 4, "0o41777", 5)
    assert os.getxattr(tree / "d/ping", "security.capability") == CAPABILITY
    assert stat.S_IMODE(tree.stat().st_mode) == 0o755


def test_hard_links_share_a_file(tmp_path):
    tree = unpack(tmp_path / "tree", entry("a", b"x"), link("b", "a", tarfile.LNKTYPE))
    assert (tree / "a").samefile(tree / "b")


def test_a_file_that_does_not_fit_on_the_disk_is_not_cut_off(tmp_path):
    """A file size limit stands in for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            unpack(tmp_path / "tree", entry("a", b"x" * 1500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_removals_take_the_kernels_form(tmp_path):
    tree = unpack(
        tmp_path / "tree", entry(".wh.gone"), folder("d"), entry("d/.wh..wh..opq"), entry("d/new", b"x")
    )
    assert (tree / "gone").is_char_device()
    assert (tree / "gone").stat().st_rdev == 0
    assert os.getxattr(tree / "d", OPAQUE) == b"y"
    assert sorted(path.name for path in tree.rglob("*")) == ["d", "gone", "new"]


def test_a_folder_that_is_only_implied_hides_the_removed_one_too(tmp_path):
    tree = unpack(tmp_path / "tree", folder("a"), entry("a/.wh.b"), entry("a/b/c", b"x"))
    assert os.getxattr(tree / "a/b", OPAQUE) == b"y"


@pytest.mark.parametrize("order", [1, -1], ids=["removed-first", "made-first"])
def test_a_folder_removed_and_made_anew_hides_the_old_one(tmp_path, order):
    tree = unpack(tmp_path / "tree", *[(entry(".wh.d")), (folder("d"))][::order])
    assert os.getxattr(tree / "d", OPAQUE) == b"y"


def test_links_inside_are_followed_inside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = unpack(
        tmp_path / "tree",
        link("out", str(outside)),
        entry("out/file", b"x"),
        link("up", "../../outside"),
        entry("up/file", b"y"),
        folder("usr/lib"),
        link("lib", "usr/lib"),
        entry("lib/z", b"z"),
    )
    assert list(outside.iterdir()) == []
    assert (tree / str(outside).lstrip("/") / "file").read_bytes() == b"x"
    assert (tree / "outside/file").read_bytes() == b"y"
    assert (tree / "usr/lib/z").read_bytes() == b"z"
    assert (tree / "lib").is_symlink()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param([entry("../x")], "unsafe path", id="climbs"),
        pytest.param([entry("a/../../x")], "unsafe path", id="climbs-later"),
        pytest.param([link("x", "../../etc/passwd", tarfile.LNKTYPE)], "unsafe path", id="hard-link-out"),
        pytest.param([link("x", "etc/passwd", tarfile.LNKTYPE)], "does not hold", id="hard-link-to-nothing"),
        pytest.param(
            [link("d", "/etc"), link("x", "d/passwd", tarfile.LNKTYPE)],
            "does not hold",
            id="hard-link-by-link",
        ),
        pytest.param([link("a", "b"), link("b", "a"), entry("a/x")], "in a circle", id="circle"),
        pytest.param([folder("a"), entry("a/.wh...")], "removes what no folder holds", id="removes-above"),
        pytest.param([folder("a"), entry("a/.wh..")], "removes what no folder holds", id="removes-itself"),
        pytest.param([folder("a"), entry("a/.wh.")], "removes what no folder holds", id="removes-nothing"),
        pytest.param([entry("x", uid=1 << 40)], "owner no system has", id="absurd-owner"),
    ],
)
def test_what_no_layer_should_hold_is_refused(tmp_path, entries, message):
    with pytest.raises(LayerError, match=message):
        unpack(tmp_path / "tree", *entries)


def test_devices_are_left_out(tmp_path):
    tree = unpack(
        tmp_path / "tree",
        folder("dev"),
        entry("dev/sda", type=tarfile.BLKTYPE, devmajor=8),
        entry("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    )
    assert list((tree / "dev").iterdir()) == []


def test_other_bytes_than_promised_are_refused(tmp_path):
    (tmp_path / "tree").mkdir()
    with pytest.raises(IntegrityError, match="unpacks to something else"):
        unpack_layer([archive(entry("x"))], tmp_path / "tree", diff_id="sha256:" + "0" * 64)


def test_the_extent_notices_what_a_power_cut_takes(tmp_path):
    tree = unpack(tmp_path / "tree", folder("d"), entry("d/f", b"abc"), link("l", "d"))
    before = extent_of(tree)
    assert (before.entries, before.size) == (3, 3)
    (tree / "d/f").write_bytes(b"")
    after = extent_of(tree)
    assert (after.entries, after.size) == (3, 0)
    assert after.listing != before.listing


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda tree: os.chown(tree / "d/f", 5, 0), id="owner"),
        pytest.param(lambda tree: (tree / "d/f").chmod(0o755), id="set-user-ID"),
        pytest.param(lambda tree: os.utime(tree / "d/f", (9, 9)), id="time"),
        pytest.param(lambda tree: os.removexattr(tree / "d", OPAQUE), id="opaque"),
        pytest.param(lambda tree: os.removexattr(tree / "p", "security.capability"), id="capability"),
        pytest.param(lambda tree: ((tree / "gone").unlink(), (tree / "gone").touch()), id="removal"),
        pytest.param(lambda tree: ((tree / "l").unlink(), (tree / "l").symlink_to("e")), id="target"),
    ],
)
def test_the_extent_notices_what_a_copy_does_not_keep(tmp_path, lose):
    tree = unpack(
        tmp_path / "tree",
        entry(".wh.gone"),
        folder("d"),
        entry("d/.wh..wh..opq"),
        entry("d/f", b"abc", mode=0o4755),
        link("l", "d"),
        entry("p", pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")}),
    )
    before = extent_of(tree)
    assert extent_of(tree) == before
    lose(tree)
    assert extent_of(tree) != before


SCRIPT = """
rm /etc/removed; rm -r /emptied; mkdir /emptied; echo new >/emptied/new
echo changed >/etc/changed; touch /etc/only-touched; chmod 4755 /etc/mode
echo 1 >/made; ln /made /linked; ln -s made /symlink; mkdir -p /deep/er; echo x >/deep/er/file
echo temporary >/tmp/temporary; rm /tmp/temporary; mv /moved /moved-to; rm -r /gone
rm /turned; mkdir /turned; echo inside >/turned/inside
"""


@pytest.fixture
def base(tmp_path):
    small = make_small_root(tmp_path / "base")
    for name in ("etc/removed", "etc/changed", "etc/only-touched", "etc/mode", "emptied/old", "gone/file"):
        (small / name).parent.mkdir(exist_ok=True)
        (small / name).write_text(name)
    (small / "moved").write_text("moved")
    (small / "turned").write_text("a file")
    for path in small.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return small


@pytest.fixture
def make_layer(tmp_path):
    cache = LayerStore(tmp_path / "cache")

    def make(upper, lowers, name="x", *, started=2_000_000_000.0):
        key = LayerKey(kind="test", inputs={"name": name}, codec=codec_of("zstd"), comment=name)
        layer = cache.make(key, lambda writer: diff_layer(upper, lowers, writer, started=started, epoch=77))
        tree = tmp_path / f"tree-{name}"
        tree.mkdir()
        unpack_layer(cache.chunks(layer), tree, diff_id=layer.diff_id)
        return layer, tree

    return make


SEEN = """
for file in /* /etc/* /emptied/* /deep/er/* /turned/*; do
    case $file in /dev|/proc|/sys|/bin*|/lib*) continue ;; esac
    stat -c '%n %F %a %u %g %s %h' $file
    if [ -f $file ]; then cat $file; fi
done
"""


def seen(lowers, scratch):
    with PrivateRoot(lowers, scratch=scratch) as root:
        shown = root.run(("sh", "-ec", SEEN), env=ENV)
    assert shown.exit_status == 0
    return shown.stdout.decode()


def test_a_layer_of_the_changes_shows_what_the_root_showed(base, tmp_path, make_layer):
    scratch = tmp_path / "scratch"
    with PrivateRoot([base], scratch=scratch) as root:
        assert root.run(("sh", "-ec", SCRIPT), env=ENV).stderr == b""
        _, tree = make_layer(root.upper, [base])
        (tmp_path / "kept").mkdir()
        os.rename(root.upper, tmp_path / "kept/upper")  # noqa: PTH104 - as the kernel left it
        (root.upper).mkdir()
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    assert " ".join(names) == (
        "deep deep/er deep/er/file emptied emptied/new etc etc/changed etc/mode etc/removed gone linked made "
        "moved moved-to symlink turned turned/inside"
    )
    assert seen([base, tree], scratch) == seen([base, tmp_path / "kept/upper"], scratch)


def test_the_same_changes_are_the_same_layer(base, tmp_path, make_layer):
    digests = []
    for attempt in ("one", "two"):
        with PrivateRoot([base], scratch=tmp_path / "scratch") as root:
            started = (tmp_path / "scratch").stat().st_mtime
            root.run(("sh", "-ec", SCRIPT), env=ENV)
            digests.append(make_layer(root.upper, [base], attempt, started=started)[0].digest)
    assert digests[0] == digests[1]


def test_what_came_with_an_older_time_keeps_it(base, tmp_path, make_layer):
    with PrivateRoot([base], scratch=tmp_path / "scratch") as root:
        started = root.upper.stat().st_mtime
        root.run(("sh", "-c", "echo x >/new; echo y >/packed; touch -d @1234567890 /packed"), env=ENV)
        tree = make_layer(root.upper, [base], started=started)[1]
    assert ((tree / "new").stat().st_mtime, (tree / "packed").stat().st_mtime) == (77, 1234567890)


def test_a_folder_reached_by_a_link_of_the_base_is_never_an_entry(base, tmp_path, make_layer):
    (base / "usr/share").mkdir(parents=True)
    (base / "share").symlink_to("usr/share")
    with PrivateRoot([base], scratch=tmp_path / "scratch") as root:
        root.run(("sh", "-c", "echo x >/share/new"), env=ENV)
        tree = make_layer(root.upper, [base])[1]
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == [
        "usr",
        "usr/share",
        "usr/share/new",
    ]
