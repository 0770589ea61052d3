"""Commands and shells in the locked image: what they are given, and what they give back."""
