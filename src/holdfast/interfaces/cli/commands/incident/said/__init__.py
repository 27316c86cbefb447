"""What is said and written down on the way."""
