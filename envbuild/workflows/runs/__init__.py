"""Recorded runs: found, compared with what is here, described and started again."""
