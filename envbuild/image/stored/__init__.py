"""Images as something stores them, read from outside: no process of theirs runs."""
