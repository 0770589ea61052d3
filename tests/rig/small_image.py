"""An image with the paths that tamperings change, and next to nothing in them: for tests of the rig alone."""

import io
import json
import tarfile
from pathlib import Path

from tests.rig.tampered_image import digest_of, tar_of
from tests.rig.tampering import Entry, file, folder, link
from tests.rig.tamperings.metadata import CAPABILITY
from tests.rig.tamperings.paths import DPKG, INTERPRETER, LIBRARY, MULTIARRAY, NUMPY, SITE, STDLIB, VENV

SIX = f"{SITE}/six-1.17.0.dist-info"
GOMP = f"{DPKG}/info/libgomp1:amd64"

TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/home/app:/bin/sh\n",
    "etc/group": "root:x:0:\nshadow:x:42:\napp:x:1000:\n",
    "etc/gshadow": "root:*::\n",
    "etc/shadow": "root:*:20000:0:99999:7:::\n",
    "etc/pam.d/common-auth": "auth requisite pam_deny.so\n",
    "etc/nsswitch.conf": "passwd: files\n",
    "etc/host.conf": "multi on\n",
    "etc/envbuild/lock.json": '{"wheels":[{"sha256":"00"}]}',
    "usr/lib/os-release": "VERSION_CODENAME=bookworm\n",
    f"{SITE}/six.py": '__version__ = "1.17.0"\n',
    f"{SIX}/METADATA": "Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n",
    f"{SIX}/RECORD": "six.py,sha256=x,1\nsix-1.17.0.dist-info/METADATA,sha256=x,1\n",
    f"{SITE}/numpy-2.0.0.dist-info/RECORD": "numpy/__init__.py,sha256=x,1\n",
    f"{VENV}/bin/f2py": "#!/opt/venv/bin/python\n",
    f"{DPKG}/status": "".join(
        f"Package: {name}\nStatus: install ok installed\nMaintainer: x\nVersion: 1\nDescription: x\n\n"
        for name in ("libc6", "libgomp1", "zlib1g")
    ),
    f"{GOMP}.md5sums": "0123456789abcdef  usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0\n",
}

MODES = {"etc/shadow": 0o640, f"{VENV}/bin/f2py": 0o755}
NET_RAW = "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

FILES = (
    "etc/apt/trusted.gpg.d/debian-archive-bookworm-stable.asc",
    "etc/bash.bashrc",
    "etc/cron.daily/dpkg",
    "etc/debian_version",
    "etc/envbuild/probe.pyz",
    "etc/environment",
    "etc/gai.conf",
    "etc/hosts",
    "etc/init.d/hwclock.sh",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d/libc.conf",
    "etc/machine-id",
    "etc/mime.types",
    "etc/motd",
    "etc/python3.11/sitecustomize.py",
    "etc/security/limits.conf",
    "etc/skel/.bashrc",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/openssl.cnf",
    "etc/subuid",
    "etc/timezone",
    "root/.bashrc",
    "usr/lib/locale/C.utf8/LC_CTYPE",
    "usr/share/doc/libc6/copyright",
    "usr/share/perl5/Debconf/Log.pm",
    "usr/share/zoneinfo/Europe/Berlin",
    "var/cache/debconf/config.dat",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/extended_states",
    "var/log/dpkg.log",
    f"{DPKG}/alternatives/awk",
    f"{DPKG}/available",
    f"{DPKG}/diversions",
    f"{DPKG}/info/iputils-ping.postinst",
    f"{DPKG}/status-old",
    f"{DPKG}/triggers/File",
    *(f"{GOMP}.{kind}" for kind in ("list", "shlibs", "symbols", "triggers")),
    *(f"{LIBRARY}/{name}" for name in ("libgomp.so.1.0.0", "gconv/UTF-16.so", "gconv/gconv-modules.cache")),
    *(f"{NUMPY}/{name}" for name in ("__init__.py", "version.py", "version.pyi", "fft/__init__.py")),
    f"{NUMPY}/__pycache__/version.cpython-311.pyc",
    f"{NUMPY}/fft/__pycache__/__init__.cpython-311.pyc",
    f"{NUMPY}/random/mtrand.cpython-311-x86_64-linux-gnu.so",
    f"{SITE}/__pycache__/six.cpython-311.pyc",
    *(f"{SIX}/{name}" for name in ("INSTALLER", "LICENSE", "WHEEL", "top_level.txt")),
    *(f"{STDLIB}/{name}.py" for name in ("hashlib", "importlib/__init__", "json/__init__", "os", "zipfile")),
    f"{STDLIB}/__pycache__/os.cpython-311.pyc",
    f"{STDLIB}/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so",
    f"{VENV}/bin/activate",
    f"{VENV}/pyvenv.cfg",
)

PROGRAMS = (
    *(f"usr/bin/{name}" for name in ("dash", "dpkg-query", "sort")),
    f"{LIBRARY}/libc.so.6",
    MULTIARRAY,
)

FOLDERS = (
    *(folder(path) for path in ("bin", "dev", "home", "proc", "srv", "sys", "usr/local/bin", "var/lib/misc")),
    folder("etc/ssl/private", mode=0o700),
    folder("home/app", uid=1000, gid=1000),
    folder("root", mode=0o700),
    folder("tmp", mode=0o1777),
    folder("var/mail", mode=0o2775, gid=8),
    folder("workspace", uid=1000, gid=1000),
)

CONFIG = {
    "architecture": "amd64",
    "created": "2026-07-11T10:16:37Z",
    "os": "linux",
    "config": {
        "Cmd": ["python"],
        "Env": [
            "PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin",
            "LANG=C.UTF-8",
            "VIRTUAL_ENV=/opt/venv",
        ],
        "Labels": {
            "dev.envbuild.engine": "local",
            "dev.envbuild.format": "2",
            "dev.envbuild.target": f"sha256:{'1' * 64}",
            "dev.envbuild.variant": "default",
            "org.opencontainers.image.title": "tampered",
            "org.opencontainers.image.version": "1" * 12,
        },
        "User": "1000:1000",
        "WorkingDir": "/workspace",
    },
}


def write_small_image(layout: Path) -> Path:
    """Write it as an OCI layout of two layers; the second puts a file into the first's place."""
    entries: list[Entry] = [
        *FOLDERS,
        *(file(path, f"content of {path}\n", mode=0o644) for path in FILES),
        *(file(path, text, mode=MODES.get(path, 0o644)) for path, text in TEXTS.items()),
        *(file(path, f"program {path}\n", mode=0o755) for path in PROGRAMS),
        file("usr/bin/ping", "program\n", mode=0o755, xattrs={CAPABILITY: NET_RAW}),
        file(INTERPRETER, b"\x7fELF" + bytes(100_000), mode=0o755),
        file("usr/bin/su", "program\n", mode=0o4755),
        link(f"{LIBRARY}/libgomp.so.1", "libgomp.so.1.0.0"),
    ]
    names = {info.name for info, _ in entries}
    parents = {str(parent) for name in names for parent in Path(name).parents} - names - {"."}
    entries += [folder(name) for name in parents]
    entries.sort(key=lambda entry: entry[0].name)
    layers = [tar_of(entries), tar_of([file("etc/debian_version", "12.0\n")])]
    config = CONFIG | {
        "history": [{"created_by": "test rig"} for _ in layers],
        "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in layers]},
    }
    documents = [json.dumps(config, separators=(",", ":"), sort_keys=True).encode()]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", documents[0]),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", data) for data in layers],
    }
    documents.append(json.dumps(manifest).encode())
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    for data in (*layers, *documents):
        (blobs / digest_of(data).removeprefix("sha256:")).write_bytes(data)
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", documents[1])
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return layout


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def names_of(tar: bytes) -> list[str]:
    """Return the names in a tar, in their order."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()
