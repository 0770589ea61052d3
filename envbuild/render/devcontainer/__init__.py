"""A dev container from a lock: its configuration, merged into what a person made of the last one."""
