"""What the packages of a lock require of each other, read from the lock alone."""
