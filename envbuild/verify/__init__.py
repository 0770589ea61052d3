"""A container is asked what it holds, and the answer is compared with the lock."""
