"""The cache folder: where it is, what lies in it, how it is pruned."""
