"""The single commands under Recover in ``holdfast --help``."""
