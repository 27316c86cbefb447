"""`make services`: gets and builds the real servers that tests run against. Run again it only fills gaps."""
