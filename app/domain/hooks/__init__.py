"""Outgoing webhooks: what is told, how it is signed, and when it is tried again. Pure."""
