"""One file a command; see ``holdfast.interfaces.cli``."""
