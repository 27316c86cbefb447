"""A bucket returned to an earlier state."""
