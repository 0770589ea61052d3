#!/usr/bin/env -S uv run --script
# /// script
# requires-python = "==3.11.*"
# dependencies = [
#   "humanfriendly",
#   "tenacity>=8,<10",
# ]
# ///
"""Fetch a set of pages."""

import humanfriendly
