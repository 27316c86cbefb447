"""From what is added to what workers take: files cut into pieces, small things put together, streams cut into runs."""
