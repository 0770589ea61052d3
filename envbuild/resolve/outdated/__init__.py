"""What of a lock is older than what there is by now: indexes, archives and channels are asked."""
