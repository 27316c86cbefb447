"""The bytes of format 1 and the names they lie under (docs/vault-format.md): what a reader of any age must agree on."""
