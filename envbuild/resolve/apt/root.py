"""The files of a private apt root: configuration, sources and keys.  Nothing of the machine's apt is changed.

The machine's configuration is read by apt itself and ours on top of it (``-c``): so its proxy, CA and
credentials hold without envbuild ever seeing them, while all that could change a solution is set here.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from envbuild.formats.apt_sources_list import AptSource, format_sources
from envbuild.platforms import DEFAULT_PATH
from envbuild.remote.apt import Keyring
from envbuild.resolve.apt.archives import AptArchives

_ARMOUR = b"-----BEGIN PGP"
_SOURCE_OPTIONS = frozenset(
    {
        "By-Hash",
        "Check-Date",
        "Check-Valid-Until",
        "Date-Max-Future",
        "Inrelease-Path",
        "Valid-Until-Max",
        "Valid-Until-Min",
    }
)
"""Options of a source that say how its Release file is to be taken; the others concern what is fetched."""

_CLEARED = (
    "APT::Architectures",
    "APT::Authentication",
    "APT::AutoRemove",
    "APT::Cache",
    "APT::Default-Release",
    "APT::Get",
    "APT::Machine-ID",
    "APT::Move-Autobit-Sections",
    "APT::Never-MarkAuto-Sections",
    "APT::Solver",
    "APT::Update",
    "Acquire::Languages",
    "Debug",
    "pkgCacheGen",
    "pkgProblemResolver",
)
"""Settings of the machine that could change a solution or what is run around it."""

_AUTH_FILE = Path("/etc/apt/auth.conf")
_AUTH_FOLDER = Path("/etc/apt/auth.conf.d")
"""Where apt keeps credentials; ``Dir::Etc`` is ours, so they are named in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AptRoot:
    """Where the files of one run are."""

    folder: Path
    """Gone after the run; its path holds no white space, which ``Signed-By`` could not carry."""

    lists: Path
    """Package lists, kept between runs."""

    source_cache: Path
    """apt's binary form of the lists, kept between runs."""

    @property
    def configuration(self) -> Path:
        """The file that every apt program is given with ``-c``."""
        return self.folder / "apt.conf"

    @property
    def status(self) -> Path:
        """Status of dpkg: what is installed."""
        return self.folder / "status"

    @property
    def preferences(self) -> Path:
        """Pins: apt_preferences(5)."""
        return self.folder / "preferences"

    @property
    def sources(self) -> Path:
        """The source lists, in deb822 form."""
        return self.folder / "sources.d" / "envbuild.sources"

    @property
    def keys(self) -> Path:
        """Folder of the keys that may sign where a source names none."""
        return self.folder / "keys"

    @property
    def machine(self) -> Path:
        """Configuration that apt reads first, in place of the machine's own: it names no file of that."""
        return self.folder / "machine.conf"

    def environment(self) -> dict[str, str]:
        """Return the variables of an apt that is not the machine's own, and has nothing to fetch."""
        return {"APT_CONFIG": str(self.machine), "LC_ALL": "C", "PATH": DEFAULT_PATH}


def write_root(root: AptRoot, archives: AptArchives, *, ca_bundle: str | None) -> None:
    """Write everything apt reads of some archives, with nothing installed and nothing pinned yet.

    ``ca_bundle`` is for archives behind TLS, where the machine's apt configuration does not name one.
    """
    sources = root.sources.parent
    for folder in (sources, root.keys, root.folder / "none", root.lists):
        folder.mkdir(parents=True, exist_ok=True)
    root.status.write_text("", encoding="utf-8")
    root.preferences.write_text("", encoding="utf-8")
    keys = {key.path: _write_key(root, index, key) for index, key in enumerate(archives.keyrings)}
    written = tuple(
        _private_source(source, keys, archives.architecture, root, number)
        for number, source in enumerate(archives.sources)
        if _serves(source, archives.architecture)
    )
    root.sources.write_text(format_sources(written), encoding="utf-8")
    # apt takes its cache for stale when a source file is newer; the folder's name already holds their content
    for path in (root.sources, sources):
        os.utime(path, (0, 0))
    text = _configuration(root, archives.architecture, ca_bundle=ca_bundle)
    root.configuration.write_text(text, encoding="utf-8")
    none = root.folder / "none"
    machine = f'Dir::Etc::main "{none}/apt.conf";\nDir::Etc::parts "{none}";\n'
    root.machine.write_text(machine, encoding="utf-8")


def _serves(source: AptSource, architecture: str) -> bool:
    return not source.architectures or architecture in source.architectures


def _write_key(root: AptRoot, number: int, key: Keyring) -> Path:
    # apt tells the two forms of a key file apart by the ending
    ending = "asc" if key.content.lstrip().startswith(_ARMOUR) else "gpg"
    path = root.keys / f"{number}.{ending}"
    path.write_bytes(key.content)
    return path


def _private_source(
    source: AptSource, keys: dict[str, Path], architecture: str, root: AptRoot, number: int
) -> AptSource:
    """Return ``source`` for this architecture only, its packages only, its keys where they are written."""
    options = {name: value for name, value in source.options if name in _SOURCE_OPTIONS}
    return replace(
        source,
        types=("deb",),
        architectures=(architecture,),
        signed_by=_signed_by(source.signed_by, keys, root, number),
        options=tuple(sorted((options | {"Targets": "Packages", "PDiffs": "no"}).items())),
    )


def _signed_by(value: str, keys: dict[str, Path], root: AptRoot, number: int) -> str:
    """Return ``Signed-By`` with each file as it is called in the private root.

    Fingerprints stay.  A file that nobody handed over is left out; without any left, every key may sign, as
    for a source that names none.
    """
    if value.lstrip().encode().startswith(_ARMOUR):
        # the value of a stanza is indented, and has a full stop for an empty line: deb822(5)
        lines = ("" if line.strip() == "." else line.strip() for line in value.strip().split("\n"))
        path = root.keys / f"source-{number}.asc"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)
    words = re.split(r"[\s,]+", value.strip())
    known = [str(keys.get(word, "")) if word.startswith("/") else word for word in words]
    return " ".join(word for word in known if word)


def _configuration(root: AptRoot, architecture: str, *, ca_bundle: str | None) -> str:
    folder = root.folder
    settings = {
        "APT::Architecture": architecture,
        "APT::Get::Always-Include-Phased-Updates": "true",
        # else apt brings all packages of one source to the version of a new one, needed or not
        "APT::Get::Upgrade-By-Source-Package": "false",
        "APT::Install-Recommends": "false",
        "APT::Install-Suggests": "false",
        # apt 3 can choose another; one machine's choice must not differ from the next one's
        "APT::Solver": "internal",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::ForceHash": "SHA256",
        # uncompressed lists take 50 MB and are read three times as fast
        "Acquire::GzipIndexes": "false",
        "Acquire::PDiffs": "false",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "none",
        "Dir::Cache::pkgcache": folder / "pkgcache.bin",
        "Dir::Cache::srcpkgcache": root.source_cache,
        "Dir::Etc": folder,
        "Dir::Etc::netrc": _readable(_AUTH_FILE),
        "Dir::Etc::netrcparts": _readable(_AUTH_FOLDER),
        "Dir::Etc::preferences": root.preferences,
        "Dir::Etc::preferencesparts": folder / "none",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": folder / "sources.d",
        "Dir::Etc::trusted": "/dev/null",
        "Dir::Etc::trustedparts": root.keys,
        "Dir::Log": folder,
        "Dir::State": folder,
        "Dir::State::extended_states": folder / "extended_states",
        "Dir::State::lists": root.lists,
        "Dir::State::status": root.status,
        "quiet": "1",
    }
    if os.geteuid() == 0:
        # the unprivileged user apt would change to cannot enter the folders of the one who runs envbuild
        settings["APT::Sandbox::User"] = "root"
    if ca_bundle:
        settings["Acquire::https::CaInfo"] = ca_bundle
    return "".join(
        [
            *(f"#clear {name};\n" for name in _CLEARED),
            *(f'{name} "{value}";\n' for name, value in settings.items()),
            f'APT::Architectures {{ "{architecture}"; }};\n',
            'Acquire::Languages { "none"; };\n',
        ]
    )


def _readable(path: Path) -> str:
    return str(path) if os.access(path, os.R_OK) else "/dev/null"
