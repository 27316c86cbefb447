"""The single commands under Prove in ``holdfast --help``."""
