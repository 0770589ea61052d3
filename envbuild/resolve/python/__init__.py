"""Python distributions: two resolvers, one result."""
