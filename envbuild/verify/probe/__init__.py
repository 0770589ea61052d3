"""Runs inside a container, with nothing but its Python's standard library, and says what is there.

One module envbuild does not write itself comes along: nvidia-ml-py's, added to the archive by ``bundle.py``.
"""
