"""Edits of a spec and of the files it names, as text: every other byte stays."""
