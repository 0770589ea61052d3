"""Results as text: for a terminal, for a pull request."""
