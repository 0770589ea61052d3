"""Wheels built from source: what is built, on what, with what, and whether it came out the same."""
