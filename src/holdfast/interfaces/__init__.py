"""Parse, call, render; nothing is decided here."""
