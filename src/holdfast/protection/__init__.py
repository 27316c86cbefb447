"""Plan and clock become recovery points: what is due, backup runs, continuous following, retention."""
