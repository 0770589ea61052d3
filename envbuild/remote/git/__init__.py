"""Git repositories: references, and the sources of commits."""
