"""From what people have to a spec."""
