"""Tables of the spec that later releases added, and what all tables have in common."""
