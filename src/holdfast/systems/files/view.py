"""What validation looks at: a restored copy, held against its point, and the source."""
