"""The append-only record of everything that ran, saw and proved."""
