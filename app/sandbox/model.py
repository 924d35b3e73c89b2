"""Requests checked against botocore's own description of SES v2."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import botocore.session
import orjson
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator, ValidationErrors

from app.sandbox.errors import bad_request

# "The JSON payload of the input can't exceed 1 MB" (SES API reference, SendBulkEmail and inline
# templates). Whether a MB is 1,000,000 or 1,048,576 bytes isn't said: the smaller is safe.
MAX_TEMPLATED_BODY_BYTES = 1_000_000


@cache
def ses_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sesv2")


@cache
def operation(name: str) -> OperationModel:
    return ses_model().operation_model(name)


def parse_body(name: str, body: bytes) -> dict[str, Any]:
    """The JSON `body` of operation `name`, checked against the model: types, required and
    unknown members, lengths, patterns and enumerations.

    Raises SesError (BadRequestException) naming the first thing that is wrong.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise bad_request(f"The request body is not valid JSON: {exc}") from exc
    problem = StrictValidator().first_problem(value, operation(name).input_shape)
    if problem:
        raise bad_request(problem)
    assert isinstance(value, dict)
    return value


class StrictValidator(ParamValidator):
    """botocore's validator checks what a client may not know; the service checks the rest.

    Added are the metadata it ignores: greatest lengths, patterns and enumerations.
    """

    # The stubs leave out the methods that botocore itself dispatches to by shape.
    VALIDATED_METADATA_ATTRS = ParamValidator.VALIDATED_METADATA_ATTRS | {"max", "pattern", "enum"}

    def first_problem(self, value: object, shape: Shape | None) -> str | None:
        """One line about what is wrong with `value`, or None."""
        self._beyond: list[str] = []
        errors = ValidationErrors()
        self._validate(value, shape, errors, name="")  # type: ignore[attr-defined]
        return next(iter(errors.generate_report().splitlines() + self._beyond), None)

    def _validate_string(self, param: object, shape: Shape, errors: Any, name: str) -> None:
        super()._validate_string(param, shape, errors, name)  # type: ignore[misc]
        if isinstance(param, str) and shape.metadata:
            self._check_string(param, shape.metadata, name)

    def _check_string(self, text: str, rules: dict[str, Any], name: str) -> None:
        if len(text) > rules.get("max", len(text)):
            self._report(name, f"Member must have length less than or equal to {rules['max']}")
        if "pattern" in rules and not re.fullmatch(rules["pattern"], text):
            self._report(name, f"Member must satisfy regular expression: {rules['pattern']}")
        if "enum" in rules and text not in rules["enum"]:
            self._report(name, f"Member must satisfy enum value set: {rules['enum']}")

    def _validate_list(self, param: object, shape: Shape, errors: Any, name: str) -> None:
        super()._validate_list(param, shape, errors, name)  # type: ignore[misc]
        if isinstance(param, list) and len(param) > shape.metadata.get("max", len(param)):
            self._report(name, f"Member must have at most {shape.metadata['max']} items")

    def _report(self, name: str, rule: str) -> None:
        self._beyond.append(f"Value at '{name.removeprefix('.')}' is refused: {rule}")
