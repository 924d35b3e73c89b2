"""How long details of the past are kept (docs/personal-data.md)."""
