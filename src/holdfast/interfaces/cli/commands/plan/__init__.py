"""The plan, without touching the network."""
