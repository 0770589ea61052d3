"""What may differ from the locked packages in a sound image: every exception a deep comparison makes.

Found by comparing bootstrapped Debian 12 and 13 systems of up to 720 packages with their package files: all
else agreed.  docs/explanation/verify.md lists the same.  An entry is added when a distribution's own script
is seen to write it, with the program that does.
"""

import re

from envbuild.verify.checks.facts import FileEntry

VOLATILE = frozenset(
    {
        "/.dockerenv",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/mtab",
        "/etc/resolv.conf",
        "/run/.containerenv",
        "/run/secrets",
    }
)
"""What engines write into every container they start; never looked at."""

SYSTEM_FOLDERS = (
    "/bin",
    "/boot",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/sbin",
    "/usr",
    "/etc/ld.so.conf.d",
    "/etc/profile.d",
)
"""Where programs, libraries and what is loaded into every process lie: files here belong to a package.
Elsewhere (``/etc``, ``/var``, ``/root``) packages' scripts write much that no package owns."""

_SYSTEM_FILE = re.compile(r"/etc/ld\.so\.preload|/etc/python3\.\d+/.*")

_GENERATED = tuple(
    re.compile(pattern)
    for pattern in (
        r"/usr/share/info/dir(\.old)?",  # install-info
        r"/usr/share/mime/.*",  # update-mime-database
        r"/usr/share/applications/mimeinfo\.cache",  # update-desktop-database
        r"/usr/share/icons/[^/]*/icon-theme\.cache",  # gtk-update-icon-cache
        r"/usr/share/glib-2\.0/schemas/gschemas\.compiled",  # glib-compile-schemas
        r"/usr/lib/[^/]*/(.*/)?giomodule\.cache",  # gio-querymodules
        r"/usr/lib/[^/]*/gtk-[^/]*/[^/]*/immodules\.cache",  # gtk-query-immodules
        r"/usr/lib/[^/]*/gdk-pixbuf-2\.0/[^/]*/loaders\.cache",  # gdk-pixbuf-query-loaders
        r"/usr/lib/[^/]*/graphviz/config\d+a?",  # dot -c
        r"/usr/lib/locale/locale-archive",  # locale-gen
        r"/usr/share/emacs/site-lisp/debian-startup\.elc?",  # emacs-package-install
        r"/usr/share/fonts/.*/(fonts\.(alias|dir|scale)|encodings\.dir)",  # update-fonts-dir and its like
        r"/usr/share/dict/words",  # dictionaries-common
        r"/usr/lib/systemd/system/screen-cleanup\.service",  # screen's postinst
        r"/usr/local/man",  # base-files' postinst
    )
)

MODES = {
    "/usr/bin/ssh-agent": 0o2755,  # openssh-client's postinst: its group keeps other processes out
    "/etc/sudoers": 0o440,  # sudo's postinst
}
"""Permission bits that a package's own script sets without telling dpkg-statoverride."""


def is_in_system_folder(path: str) -> bool:
    """Return whether a file at ``path`` ought to belong to a package."""
    in_folder = any(path.startswith(f"{folder}/") for folder in SYSTEM_FOLDERS)
    return in_folder or _SYSTEM_FILE.fullmatch(path) is not None


def is_generated(path: str, found: FileEntry) -> bool:
    """Return whether packages' scripts make such a file: one above, or a link of update-alternatives(1)."""
    if found[0] == "l" and (found[3] or "").startswith("/etc/alternatives/"):
        return True
    return any(pattern.fullmatch(path) for pattern in _GENERATED)
