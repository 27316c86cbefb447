"""From files to one tree of values, each of which knows where it was written."""
