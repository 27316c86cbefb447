"""A run: events, what follows from them (pure), and the driver that does it and writes it down."""
