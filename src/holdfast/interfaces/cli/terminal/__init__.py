"""What a person sees and is asked: output, tables, progress, confirmations, new keys."""
