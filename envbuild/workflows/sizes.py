"""Sizes and numbers as people read them."""

from envbuild.files.sizes import counted, readable_size

__all__ = ["counted", "readable_size"]
