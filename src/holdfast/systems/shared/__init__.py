"""What kinds of system do alike, beside their contract: throw-away folders, objects put by many requests at once."""
