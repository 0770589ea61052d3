"""What a team asks for: the spec, read strictly, and the normalised request made of it."""
