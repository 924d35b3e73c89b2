"""Mailouts over HTTP."""
