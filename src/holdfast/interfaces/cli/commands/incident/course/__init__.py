"""What moves an incident from one state to the next."""
