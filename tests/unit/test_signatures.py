"""What a function's text says of its parameters."""

from __future__ import annotations

import pytest

from app.adapters.database.signatures import signatures


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("create function f() returns int", "f()"),
        (
            "create or replace function f(p_a uuid, p_b text default null) returns int",
            "f(uuid, text)",
        ),
        ("create or replace function f(m mailouts)\nreturns jsonb", "f(mailouts)"),
        (
            "create or replace function f(\n    p_a double precision, p_b uuid[],\n"
            "    p_c jsonb default '[]')\nreturns int",
            "f(double precision, uuid[], jsonb)",
        ),
        ("create function f(p_a text, out x text, out y text)\nlanguage sql", "f(text)"),
        (
            "create function f(p_a numeric(9, 2) default round(1.5, 1)) returns int",
            "f(numeric(9, 2))",
        ),
        ("create function f(p_a timestamptz default now()) returns int", "f(timestamptz)"),
    ],
)
def test_a_signature_is_the_types_of_the_inputs(text: str, signature: str) -> None:
    assert list(signatures(f"-- about it\n{text} as $$ select f(p_x, 'y') $$;")) == [signature]


def test_every_function_of_a_file_is_found() -> None:
    """And nothing that is only called, or spoken of."""
    text = """
-- create function not_this_one(p_a int) returns int
create or replace function a(p_a int) returns int language sql as $$ select b(1); $$;
create or replace function b(p_b int)
returns int language sql as $$ select 1 $$;
"""
    assert list(signatures(text)) == ["a(int)", "b(int)"]
