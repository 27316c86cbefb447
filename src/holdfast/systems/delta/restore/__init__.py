"""Back into a new place, in the damaged table's place, or by a commit on the table itself."""
