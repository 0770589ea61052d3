"""Environments as files of other tools describe them: conda, and lists of Debian packages."""
