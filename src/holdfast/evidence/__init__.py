"""What ran and what it proved, as signed documents that anyone can check without Holdfast."""
