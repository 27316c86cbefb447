"""`make docs`: pages that are generated from the program, so that they cannot drift from it."""
