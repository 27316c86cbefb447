"""What fills signed evidence: the journal, the vault's keys, all tests of a period, spot checks by hand."""
