"""Encrypted, deduplicated, immutable recovery points, over `storage` only."""
