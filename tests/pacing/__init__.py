"""Pacing by mailbox provider, and warm-ups."""
