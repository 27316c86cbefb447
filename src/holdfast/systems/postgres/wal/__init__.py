"""What is in the WAL, and which of it a vault holds: records, timelines, coverage."""
