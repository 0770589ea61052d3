"""A Python package index: pages, metadata, the client's configuration."""
