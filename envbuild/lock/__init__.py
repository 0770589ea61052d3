"""The lock: what an environment is, down to the sha256 of everything in it.  Values only, no network."""
