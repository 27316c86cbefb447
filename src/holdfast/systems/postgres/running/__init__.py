"""Servers that Holdfast starts itself on restored data: their programs, one instance, and its isolation."""
