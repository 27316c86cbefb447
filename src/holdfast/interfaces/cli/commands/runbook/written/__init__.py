"""Runbooks as files: begin one, list, show and check them."""
