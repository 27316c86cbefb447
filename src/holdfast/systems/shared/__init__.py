"""What kinds of system do alike, beside their contract: throw-away folders."""
