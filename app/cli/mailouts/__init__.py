"""Commands about mailouts: write, release, send, steer, and see what became of it."""

from __future__ import annotations

from app.cli.mailouts.group import app, outside

__all__ = ["app", "outside"]
