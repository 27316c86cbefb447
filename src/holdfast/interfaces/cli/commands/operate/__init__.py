"""The single commands under Operate in ``holdfast --help``."""
