"""The runbooks that are shipped, followed to their end on real servers: by processes that are killed at every step, and on paper."""
