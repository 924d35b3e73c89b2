"""Equations in TeX as text that a mail can show."""

from __future__ import annotations


def readable(expression: str) -> str:
    return " ".join(expression.split())
