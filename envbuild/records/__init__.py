"""Records of runs: what envbuild knows of one, how a run carries it, and how trackers give it back."""
