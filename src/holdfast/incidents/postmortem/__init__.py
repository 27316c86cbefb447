"""What was learnt: facts filled in, sections that people write, action items that stay open until there is evidence."""
