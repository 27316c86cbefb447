"""Which chunks the vault holds and where: sorted segments on disk, mapped, never the whole in memory."""
