"""From a tree of values to a checked plan: shape first, then what must fit together."""
