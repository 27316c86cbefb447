"""From pinned versions to a recovery point."""
