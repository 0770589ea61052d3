"""The wheels of envbuild-runtime that this release carries; their source is the folder ``runtime/``."""
