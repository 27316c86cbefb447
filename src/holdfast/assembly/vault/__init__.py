"""The vault as the plan names it: its locations, their copies, and what lies in it besides data."""
