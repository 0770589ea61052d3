"""Runs inside a container, with nothing but its Python's standard library, and says what is there.

One module of others comes along: nvidia-ml-py's, which ``probe_bundle.py`` adds to the archive.
"""
