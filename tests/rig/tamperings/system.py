"""The system around Python: accounts, /etc, homes, and every folder where something may wait."""

from tests.rig.tampering import (
    Klass,
    Tampering,
    appended,
    file,
    flipped,
    folder,
    link,
    program,
    replaced,
)
from tests.rig.tamperings.paths import LIBRARY

ACCOUNTS = Klass("accounts")
ETC = Klass("settings of the system")
OWN = Klass("what envbuild wrote")
PLACES = Klass("folders that nobody compares")

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3RzLW9ubHktbm90LWEta2V5LW9mLWFueWJvZHk somebody\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUc29tZWJvZHk=\n-----END CERTIFICATE-----\n"

_ACCOUNTS = (
    ACCOUNTS.edits("a second root", "etc/passwd", appended("toor:x:0:0::/root:/bin/sh\n")),
    ACCOUNTS.edits("the user is another number", "etc/passwd", replaced(b"app:x:1000:1000", b"app:x:0:1000")),
    ACCOUNTS.edits("the user's home is elsewhere", "etc/passwd", replaced(b":/home/app:", b":/var/tmp:")),
    ACCOUNTS.edits("root has a password", "etc/shadow", replaced(b"root:*:", b"root::")),
    ACCOUNTS.edits("a group more", "etc/group", appended("wheel:x:998:app\n")),
    ACCOUNTS.edits("the user is in root's group", "etc/group", replaced(b"root:x:0:\n", b"root:x:0:app\n")),
    ACCOUNTS.edits("a password of a group", "etc/gshadow", replaced(b"root:*::", b"root::app:")),
    ACCOUNTS.edits("subordinate numbers", "etc/subuid", appended("app:0:65536\n")),
    ACCOUNTS.adds(
        "sudo without a password", file("etc/sudoers.d/app", "app ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
    ),
    ACCOUNTS.adds("a key to root's account", file("root/.ssh/authorized_keys", KEY, mode=0o600)),
    ACCOUNTS.adds(
        "a key to the user's account",
        file("home/app/.ssh/authorized_keys", KEY, mode=0o600, uid=1000, gid=1000),
    ),
    ACCOUNTS.edits("anybody may log in", "etc/pam.d/common-auth", replaced(b"pam_deny.so", b"pam_permit.so")),
    ACCOUNTS.edits("logging in runs more", "root/.bashrc", appended("alias ls=id\n")),
    ACCOUNTS.edits("homes to come run more", "etc/skel/.bashrc", appended("alias ls=id\n")),
    ACCOUNTS.adds("another home", folder("home/somebody", uid=1001, gid=1001)),
)

_ETC = (
    ETC.edits("the cache of libraries differs in one bit", "etc/ld.so.cache", flipped),
    ETC.adds("a folder of libraries", file("etc/ld.so.conf.d/000-first.conf", "/usr/local/lib/first\n")),
    ETC.edits(
        "folders of libraries in another order", "etc/ld.so.conf", lambda content: b"/workspace\n" + content
    ),
    ETC.adds("a profile", file("etc/profile.d/a.sh", "alias ls=id\n")),
    ETC.edits("every shell runs more", "etc/bash.bashrc", appended("alias ls=id\n")),
    ETC.edits("variables of sessions", "etc/environment", appended("LD_PRELOAD=/workspace/lie.so\n")),
    ETC.adds(
        "another index for pip", file("etc/pip.conf", "[global]\nindex-url = https://index.invalid/simple\n")
    ),
    ETC.edits("names are looked up elsewhere", "etc/nsswitch.conf", replaced(b"files", b"db files")),
    ETC.edits("one more certificate is trusted", "etc/ssl/certs/ca-certificates.crt", appended(CERTIFICATE)),
    ETC.adds("a certificate by its hash", file("etc/ssl/certs/deadbeef.0", CERTIFICATE)),
    ETC.adds(
        "a certificate for the next update", file("usr/local/share/ca-certificates/somebody.crt", CERTIFICATE)
    ),
    ETC.edits(
        "OpenSSL loads an engine", "etc/ssl/openssl.cnf", appended("[engines]\nlie = /workspace/lie.so\n")
    ),
    ETC.adds(
        "a source for apt",
        file("etc/apt/sources.list.d/more.list", "deb [trusted=yes] https://archive.invalid x main\n"),
    ),
    ETC.adds("the file of sources", file("etc/apt/sources.list", "deb https://archive.invalid x main\n")),
    ETC.adds(
        "a key apt trusts", file("etc/apt/trusted.gpg.d/more.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    ),
    ETC.edits(
        "a key apt trusts is another", "etc/apt/trusted.gpg.d/debian-archive-bookworm-stable.asc", flipped
    ),
    ETC.adds("apt runs a program", file("etc/apt/apt.conf.d/99run", 'DPkg::Post-Invoke {"id";};\n')),
    ETC.adds("a job of cron", file("etc/cron.d/job", "* * * * * root id\n")),
    ETC.edits("a daily job does more", "etc/cron.daily/dpkg", appended("id\n")),
    ETC.adds(
        "a unit of systemd", file("etc/systemd/system/evil.service", "[Service]\nExecStart=/usr/bin/id\n")
    ),
    ETC.edits("a service does more", "etc/init.d/hwclock.sh", appended("id\n")),
    ETC.adds("a service starts first", link("etc/rcS.d/S00evil", "../init.d/hwclock.sh")),
    ETC.edits("limits of sessions", "etc/security/limits.conf", appended("* hard nproc 1\n")),
    ETC.edits("hosts have other addresses", "etc/hosts", appended("192.0.2.1 index.example\n")),
    ETC.edits("hosts are looked up otherwise", "etc/host.conf", replaced(b"multi on", b"multi no")),
    ETC.adds("names are asked of another server", file("etc/resolv.conf", "nameserver 192.0.2.1\n")),
    ETC.edits("addresses are preferred otherwise", "etc/gai.conf", appended("precedence ::/0 1\n")),
    ETC.edits("an identity of a machine", "etc/machine-id", appended("0123456789abcdef0123456789abcdef\n")),
    ETC.edits("another time zone", "etc/timezone", lambda _: b"Mars/Olympus\n"),
    ETC.adds("a local time", link("etc/localtime", "/usr/share/zoneinfo/Asia/Tokyo")),
    ETC.edits("another release", "usr/lib/os-release", replaced(b"bookworm", b"trixie")),
    ETC.edits("another version of Debian", "etc/debian_version", lambda _: b"13.1\n"),
    ETC.edits("a message", "etc/motd", appended("welcome\n")),
    ETC.edits("types of files are others", "etc/mime.types", appended("text/x-evil evil\n")),
    ETC.removes("a setting is gone", "etc/gai.conf"),
    ETC.adds("a link for all of /etc/python3", link("etc/python3/debian_config", "/workspace/config")),
)

_OWN = (
    OWN.edits("the lock has spaces", "etc/envbuild/lock.json", appended("\n \n")),
    OWN.edits(
        "the lock has another digest in it", "etc/envbuild/lock.json", replaced(b'"sha256":"', b'"sha256":"0')
    ),
    OWN.edits("the probe is another", "etc/envbuild/probe.pyz", flipped),
    OWN.adds("a file beside the lock", file("etc/envbuild/verified.json", "{}\n")),
    OWN.removes("there is no lock", "etc/envbuild/lock.json"),
    OWN.changes("anybody may write the lock", "etc/envbuild/lock.json", mode=0o666),
    OWN.changes("the folder is the user's", "etc/envbuild", uid=1000),
)

_PLACES = (
    PLACES.adds(
        "a module in the working directory",
        file("workspace/numpy.py", "print('not numpy')\n", uid=1000, gid=1000),
    ),
    PLACES.adds("a hidden file in the working directory", file("workspace/.env", "A=1\n")),
    PLACES.adds(
        "a package of the user's",
        file("home/app/.local/lib/python3.11/site-packages/numpy.py", "\n", uid=1000, gid=1000),
    ),
    PLACES.adds(
        "the user's settings of pip", file("home/app/.config/pip/pip.conf", "[global]\n", uid=1000, gid=1000)
    ),
    PLACES.adds("the user's shell runs more", file("home/app/.bashrc", "alias ls=id\n", uid=1000, gid=1000)),
    PLACES.adds(
        "a cache of the user's", file("home/app/.cache/torch/hub/model.pt", b"\x80\x02.", uid=1000, gid=1000)
    ),
    PLACES.adds(
        "root's credentials", file("root/.netrc", "machine index.invalid login a password b\n", mode=0o600)
    ),
    PLACES.adds("a program before the system's", program("usr/local/bin/git")),
    PLACES.adds("another python3", program("usr/local/bin/python3")),
    PLACES.adds("a program of root's", program("usr/local/sbin/ldconfig")),
    PLACES.adds("a library before the system's", file("usr/local/lib/libgomp.so.1", b"\x7fELF")),
    PLACES.adds("a program among the system's", program("usr/bin/nvidia-smi")),
    PLACES.adds("a file in /opt", file("opt/tool/bin/tool", mode=0o755)),
    PLACES.adds("a file in /srv", file("srv/data.bin", b"\0" * 100)),
    PLACES.adds("a file in /mnt", file("mnt/data.bin", b"\0" * 100)),
    PLACES.adds("a file in /tmp", file("tmp/numpy.py", "\n")),
    PLACES.adds("a file in /var/tmp", file("var/tmp/payload", "\n")),
    PLACES.adds("a file in /run", file("run/secrets/token", "x\n", mode=0o600)),
    PLACES.adds("a file in /var/log", file("var/log/secret.log", "x\n")),
    PLACES.edits("a log of something", "var/log/dpkg.log", appended("installed evil\n")),
    PLACES.adds("a file in /var/cache", file("var/cache/apt/pkgcache.bin", b"\0" * 100)),
    PLACES.edits("the cache of ldconfig", "var/cache/ldconfig/aux-cache", appended(b"\0" * 100)),
    PLACES.edits(
        "debconf's answers", "var/cache/debconf/config.dat", appended("\nName: evil/question\nValue: true\n")
    ),
    PLACES.adds("a file in /var/lib", file("var/lib/systemd/linger/app")),
    PLACES.adds("a file in /boot", file("boot/grub.cfg", "\n")),
    PLACES.adds("a file in the root", file("payload", "\n", mode=0o755)),
    PLACES.adds("a file that engines write", file(".dockerenv", "not empty\n")),
    PLACES.adds("a folder more", folder("srv/www")),
    PLACES.adds("a file in /dev", file("dev/payload", "\n")),
    PLACES.adds("a file in /proc", file("proc/payload", "\n")),
    PLACES.adds("a file in /sys", file("sys/payload", "\n")),
    PLACES.adds("documentation more", file("usr/share/doc/libgomp1-evil/run.sh", "id\n", mode=0o755)),
    PLACES.edits("a manual page", "usr/share/perl5/Debconf/Log.pm", appended("\n# somebody was here\n")),
    PLACES.edits("a time zone", "usr/share/zoneinfo/Europe/Berlin", flipped),
    PLACES.edits("the C library's messages", f"{LIBRARY}/gconv/UTF-16.so", flipped),
)

TAMPERINGS: tuple[Tampering, ...] = (*_ACCOUNTS, *_ETC, *_OWN, *_PLACES)
