"""Markdown with masked Liquid in it, as HTML that mail programs show."""

from app.domain.markdown.liquid_lines import to_html

__all__ = ["to_html"]
