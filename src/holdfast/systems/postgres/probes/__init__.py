"""The single questions that ``check`` asks a PostgreSQL server. Each takes a session and the settings, and returns its findings."""
