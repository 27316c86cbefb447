"""Two servers' content, held against each other: by ranges of keys, by multisets, by samples; sequences and definitions by name."""
