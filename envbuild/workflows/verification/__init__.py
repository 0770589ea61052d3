"""The verification of one image, and its options."""
