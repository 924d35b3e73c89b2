"""What a caller wrote, read by a model of pydantic. Pure."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from app.domain.given.validation import described
from app.errors import InvalidRequest

_Model = TypeVar("_Model", bound=BaseModel)


def without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character can't stand here")
    return text


Text = Annotated[str, AfterValidator(without_nul)]
"""A caller's text that goes to PostgreSQL, which can't hold NUL."""


def read_body(model: type[_Model], body: Any) -> _Model:
    """Raises InvalidRequest."""
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        raise invalid_request(exc.errors()) from exc


def invalid_request(errors: Any) -> InvalidRequest:
    """What pydantic found, as one sentence that names each field; values are not repeated."""
    return InvalidRequest(described(errors))
