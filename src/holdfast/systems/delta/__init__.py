"""Delta tables: captured at a pinned version, restored to it exactly, searched version by version."""
