"""Page checksums: which pages of a relation are not what the server wrote."""
