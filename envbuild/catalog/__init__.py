"""Facts as versioned data, with typed access."""
