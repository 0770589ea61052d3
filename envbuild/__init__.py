"""ML environments that are the same everywhere, and prove it."""

__version__ = "0.1.0"
