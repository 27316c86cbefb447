"""From a Markdown file to a compiled snapshot, or to every error in it with its line."""
