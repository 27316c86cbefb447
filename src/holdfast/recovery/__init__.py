"""Plan a restore (pure, printable), then run it into a new target."""
