"""Packages added, removed and upgraded: the spec edited, the lock brought up to date, or nothing changed."""
