"""The plan's shape: one frozen model for each part of the file, named as in the file."""
