"""Layers of the local engine: made once, kept by what they were made of."""
