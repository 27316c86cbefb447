"""The platform's own program. It is one of the protected files, and knows nothing of Holdfast."""
