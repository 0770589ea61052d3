"""Every file of an image, read from outside, against the locked artifacts and the reference."""
