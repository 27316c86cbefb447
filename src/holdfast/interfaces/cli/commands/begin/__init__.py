"""The single commands under Begin in ``holdfast --help``."""
