"""File formats: bytes in, values out, and back.  Nothing here knows a server, a lock or an engine."""
