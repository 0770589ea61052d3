"""Label pictures."""
# /// script
# dependencies = ["textdistance", "unidiff>=0.7"]
# requires-python = ">=3.10"
# [tool.uv]
# exclude-newer = "2025-06-01T00:00:00Z"
# ///

import textdistance
