"""Reading recovery points: the tree, single files, and whole extracts at full speed."""
