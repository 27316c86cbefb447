"""Delta tables: their log, capture and restore."""
