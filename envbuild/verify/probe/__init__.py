"""Runs inside a container, with nothing but its Python's standard library, and says what is there.

A seam for later: what looks at GPUs gets a module of its own beside these and a field in ``Facts``; a module
that envbuild does not write itself (nvidia-ml-py's) is added to the archive by ``bundle.py``.
"""
