"""What lies beside the data for the rooms above: copies of journal and plan, and what proves them."""
