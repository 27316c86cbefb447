"""``holdfast demo``."""
