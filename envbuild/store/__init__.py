"""Artifacts by sha256 in the user's cache folder: fetched in parallel, verified, shared between processes."""
