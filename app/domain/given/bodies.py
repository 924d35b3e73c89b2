"""What a caller wrote, read by a model of pydantic. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.domain.given.validation import described
from app.errors import InvalidRequest

_Model = TypeVar("_Model", bound=BaseModel)


def without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character can't stand here")
    return text


Text = Annotated[str, AfterValidator(without_nul)]
"""A caller's text that goes to PostgreSQL, which can't hold NUL."""


class StrictBody(BaseModel):
    """Base of what callers send. Nothing is taken for something else: a field that isn't here is
    refused, and so are "off" for false, 1 for true, 1.0 and "1" for 1.

    (Strictly a UUID or a time would have to be Python's own: Id and Time take it as JSON has it.)
    """

    model_config = ConfigDict(extra="forbid", strict=True)


Id = Annotated[UUID, Field(strict=False)]


def _as_text(value: object) -> object:
    if not isinstance(value, str) or value.replace(".", "", 1).lstrip("+-").isdigit():
        raise ValueError("a day or a moment is needed, such as 2026-05-04 or 2026-05-04T09:00:00Z")
    return value


Time = Annotated[datetime, Field(strict=False), BeforeValidator(_as_text)]
"""A bare number would count as seconds, or as milliseconds, since 1970."""


def read_body(model: type[_Model], body: Any) -> _Model:
    """Raises InvalidRequest."""
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        raise invalid_request(exc.errors()) from exc


def invalid_request(errors: Any) -> InvalidRequest:
    """What pydantic found, as one sentence that names each field; values are not repeated."""
    return InvalidRequest(described(errors))
