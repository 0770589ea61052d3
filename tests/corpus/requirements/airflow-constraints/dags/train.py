"""A pipeline."""
