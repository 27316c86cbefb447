"""What a session need not store again, and what it stores again so that old packs can go."""
