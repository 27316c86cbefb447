"""Buckets: objects in S3 and what speaks it, or in a local folder."""
