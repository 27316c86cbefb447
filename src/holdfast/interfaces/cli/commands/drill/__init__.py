"""``holdfast drill …``."""
