"""The full screen of a run: what it shows at any size, and a real terminal with a person at it."""
