"""The text part of a mail, derived from its HTML."""
