"""An image registry: reading, writing, authentication."""
