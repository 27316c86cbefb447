"""Scenarios: their files, what they may say, and where they lie."""
