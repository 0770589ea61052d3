"""Wheels built from source, on this machine: the sandbox of an engine, and where built wheels are kept."""
