"""From a request to a lock: the base, system packages and Python distributions, exactly."""
