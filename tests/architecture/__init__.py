"""What the tests hold the house itself to."""
