"""What happened to an incident, as journal entries: read from the journals of all hosts, put in one order, folded into a state."""
