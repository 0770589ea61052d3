"""Trackers that give records back, each in a module of its own.  All that they hold is untrusted."""
