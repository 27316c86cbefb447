"""Recovery points: as they are stored, which a policy keeps, which nobody may delete."""
