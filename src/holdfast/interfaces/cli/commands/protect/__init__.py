"""The single commands under Protect in ``holdfast --help``."""
