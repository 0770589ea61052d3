"""Data of a project: locked, fetched, verified, compared, recorded."""
