"""Channels against servers that take the published formats and nothing else; the outbox against crashes, clocks and other processes."""
