"""Takes folders into a recovery point."""
