"""Images and the engines that make them."""
