"""Sizes as people read them."""

from envbuild.files.sizes import readable_size

__all__ = ["readable_size"]
