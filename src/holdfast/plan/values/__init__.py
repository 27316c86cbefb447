"""The small languages inside a plan: durations, sizes, schedules, windows, secret references."""
