"""Data and models by digest: manifests, hashing, remembered digests, and where each kind can be had."""
