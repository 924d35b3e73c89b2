"""Refusals of a whole call, named as the SES v2 model names them."""

from __future__ import annotations


class SesError(Exception):
    """A refusal on the wire: the model's error `code`, a message for people, an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def bad_request(message: str) -> SesError:
    return SesError("BadRequestException", message)


def not_found(message: str) -> SesError:
    return SesError("NotFoundException", message, 404)


def throttled(message: str = "Maximum sending rate exceeded.") -> SesError:
    return SesError("TooManyRequestsException", message, 429)


def forbidden(code: str, message: str) -> SesError:
    return SesError(code, message, 403)


def sending_paused() -> SesError:
    return SesError("SendingPausedException", "Email sending is paused for this account.")


def account_suspended() -> SesError:
    return SesError("AccountSuspendedException", "Sending is suspended for this account.")
