"""Taking one recovery point of a running cluster: in place, or over the replication protocol, with the WAL that makes it consistent."""
