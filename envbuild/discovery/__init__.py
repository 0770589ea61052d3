"""What the files people have ask for: a first spec from a folder."""
