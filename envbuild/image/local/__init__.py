"""Images assembled on this machine from verified artifacts, without a daemon."""
