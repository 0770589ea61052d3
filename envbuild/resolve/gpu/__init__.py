"""CUDA and ROCm of an environment, derived from what was resolved for it."""
