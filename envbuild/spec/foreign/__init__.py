"""Locks of other tools: one module for each format, text in and pins out."""
