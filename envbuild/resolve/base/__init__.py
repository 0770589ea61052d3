"""What is read of a base image, or bootstrapped in its place."""
