"""What validation looks at: a point, a copy, the bucket as it is."""
