"""The wire to a server: queries by psycopg, and streaming replication spoken over libpq."""
