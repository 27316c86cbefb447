"""The protected systems, one folder each; the rooms above know only ``contract``."""
