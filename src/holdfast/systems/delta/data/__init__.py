"""Rows of a version: SQL, full scans, content hashes."""
