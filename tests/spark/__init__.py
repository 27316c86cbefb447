"""What Holdfast restores of Delta tables, read by a real Spark; a real Spark that writes while captures are taken."""
