"""Owners, modes and extended attributes: the bytes of the file are right."""

import re

from tests.rig.tampering import Klass, Tampering, folder
from tests.rig.tamperings.paths import INTERPRETER, LIBRARY, MULTIARRAY, NUMPY, SITE, VENV

OWNERS = Klass("owners")
MODES = Klass("modes")
XATTRS = Klass("extended attributes")

ROOT = re.compile(r"(?:^|[\s`/])/(?:$|[\s`:,])")

# VFS_CAP_REVISION_2, effective; cap_sys_admin (21), and cap_dac_override (1)
SYS_ADMIN = "\x01\0\0\x02\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0"
DAC_OVERRIDE = "\x01\0\0\x02\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
CAPABILITY = "security.capability"

TAMPERINGS: tuple[Tampering, ...] = (
    OWNERS.changes("a wheel's library is the user's", MULTIARRAY, uid=1000, gid=1000),
    OWNERS.changes("the environment's programs are the user's", f"{VENV}/bin", uid=1000, gid=1000),
    OWNERS.changes("the packages are the user's", SITE, uid=1000),
    OWNERS.changes("the interpreter is the user's", INTERPRETER, uid=1000),
    OWNERS.changes("a setting is the user's", "etc/ld.so.conf", uid=1000),
    OWNERS.changes("the passwords are another group's", "etc/shadow", gid=1000),
    OWNERS.changes("a group's mail is another group's", "var/mail", gid=1000),
    OWNERS.changes("the home is another's", "home/app", uid=0, gid=0),
    OWNERS.changes("the working directory is another's", "workspace", uid=0, gid=0),
    OWNERS.changes("a link is the user's", f"{LIBRARY}/libgomp.so.1", uid=1000),
    OWNERS.adds("the root is the user's", folder("./", uid=1000, gid=1000), named=ROOT, at="/"),
    MODES.changes("the shell is root for everybody", "usr/bin/dash", mode=0o4755),
    MODES.changes("the interpreter has its group for everybody", INTERPRETER, mode=0o2755),
    MODES.changes("a program is no longer root's", "usr/bin/su", mode=0o755),
    MODES.changes("the passwords are for everybody", "etc/shadow", mode=0o644),
    MODES.changes("the packages may be written by everybody", SITE, mode=0o777),
    MODES.changes("a module may be written by everybody", f"{NUMPY}/version.py", mode=0o666),
    MODES.changes("a module may be run", f"{NUMPY}/version.py", mode=0o755),
    MODES.changes("a program may not be run", f"{VENV}/bin/f2py", mode=0o644),
    MODES.changes("/etc may be written by everybody", "etc", mode=0o777),
    MODES.changes("a folder of programs may be written by its group", "usr/local/bin", mode=0o2775),
    MODES.changes("in /tmp anybody removes anything", "tmp", mode=0o777),
    MODES.changes("root's home is open", "root", mode=0o755),
    MODES.changes("private keys are open", "etc/ssl/private", mode=0o755),
    MODES.changes("the user's home is open", "home/app", mode=0o777),
    MODES.changes("the working directory is open", "workspace", mode=0o777),
    MODES.changes("a folder is closed", "usr/share/perl5", mode=0o700),
    MODES.adds("the root may be written by everybody", folder("./", mode=0o777), named=ROOT, at="/"),
    XATTRS.changes("a program may read everything", "usr/bin/sort", xattrs={CAPABILITY: DAC_OVERRIDE}),
    XATTRS.changes("ping may do more", "usr/bin/ping", xattrs={CAPABILITY: SYS_ADMIN}),
    XATTRS.changes("ping may do nothing", "usr/bin/ping", xattrs={}),
    XATTRS.changes(
        "a library has a capability", f"{LIBRARY}/libgomp.so.1.0.0", xattrs={CAPABILITY: DAC_OVERRIDE}
    ),
    XATTRS.changes(
        "a file has a note of a user", f"{NUMPY}/version.py", xattrs={"user.note": "somebody was here"}
    ),
    XATTRS.changes("a folder has a note of a user", "workspace", xattrs={"user.note": "somebody was here"}),
)
