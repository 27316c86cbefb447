"""What is in flight: leases, schedules, run positions; SQLite; can be lost without losing data or evidence."""
