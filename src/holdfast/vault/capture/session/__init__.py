"""What a session leaves while it runs: its announcement, the index of what it stored, its spill folder."""
