"""Debian archives: signatures, Release files and package lists, fetched and checked without apt."""
