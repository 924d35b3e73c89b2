"""Compiles a mail of ours when it is imported, as the fork server does before it takes requests: so
the processes that it forks have our style sheet read, and patterns and parsers made, already."""

from __future__ import annotations

from app.domain.content.render import Content, Footer, compile_content

_CONTENT = Content(
    subject="Hello {{ name }}",
    body_html=None,
    body_markdown="# Hello\n\nA *letter* with [a link](https://example.com) for {{ name }}.\n",
    body_text=None,
    preheader=None,
)

compile_content(_CONTENT, Footer(org_name="Us", org_address="Here", html="", text=""))
