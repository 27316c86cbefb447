"""What a step can do: one file for each kind, all behind one contract, gathered in a registry that others may add to."""
