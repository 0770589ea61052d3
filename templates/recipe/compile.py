"""Compile Python sources from standard input; write their bytecode to standard output.

In: for each source the lengths of its name and its text, 4 bytes each, little endian, then both.  Out, in
ASCII: a line of cache tag, magic number and version, then a line per source, its bytecode as base64; empty
where it does not compile, which stays source as with pip.

Handed to `python -c` as it stands, in an interpreter that has done nothing else: what it has compiled before,
and even the names used here, show in what it writes (cpython issue 129724).  A change of this text can change
every file of bytecode.
"""  # noqa: INP001 - a script of the recipe, not a module

import base64
import importlib.machinery
import importlib.util
import marshal
import struct
import sys

UNCHECKED = (0b01).to_bytes(4, "little")  # PEP 552: holds a hash of the source that nobody compares

loader = importlib.machinery.SourceFileLoader("<envbuild>", "")
take, give = sys.stdin.buffer, sys.stdout.buffer
magic = importlib.util.MAGIC_NUMBER
version = ".".join(map(str, sys.version_info[:3]))
give.write(f"{sys.implementation.cache_tag} {magic.hex()} {version}\n".encode())
while lengths := take.read(8):
    name_length, length = struct.unpack("<II", lengths)
    name = take.read(name_length).decode(errors="surrogateescape")
    source = take.read(length)
    try:
        code = loader.source_to_code(source, name, _optimize=0)
    except Exception:  # noqa: BLE001 - whatever is wrong with a source, it stays one
        give.write(b"\n")
    else:
        bytecode = magic + UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)
        give.write(base64.b64encode(bytecode) + b"\n")
