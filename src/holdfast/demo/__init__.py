"""A whole platform in small: starts it, protects it, breaks it, recovers it, and shows what was measured."""
