"""PostgreSQL 14 to 18: probe, capture, follow, restore, isolate, compare."""
