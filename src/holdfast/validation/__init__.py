"""Is restored data right? Checks that only read, each with expected and actual."""
