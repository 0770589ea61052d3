"""Images of engines and of registries: found, listed, moved between the two, removed."""
