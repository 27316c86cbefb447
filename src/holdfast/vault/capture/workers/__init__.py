"""The threads of a capture: what travels to them, what they do with it, how their first error stops all."""
