"""Looking after a machine and a repository: what takes no lock from its spec to an image."""
