"""Getting a cluster back: a target is understood, a way to it is chosen, and a directory is written that reaches nothing of production."""
