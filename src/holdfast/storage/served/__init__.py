"""A folder served append-only by another account: over a Unix socket, or over ssh by a forced command."""
