"""The full screen for whoever runs a runbook: steps, clocks, the last output, and a line to answer on."""
