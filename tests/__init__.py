"""Tests, and the real servers they run against (``tests.servers``)."""
