"""From a lock to text: the Dockerfile and what goes with it.  Pure; templates lie in the top-level folder."""
