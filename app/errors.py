"""Every error this program raises on purpose, each with its HTTP status and stable code.

A message names the field or part at fault and the remedy; it never carries a secret or a
recipient's address. `api/http/problems.py` turns these into `application/problem+json` (RFC 9457).
"""

from __future__ import annotations

from typing import Any, ClassVar


class AppError(Exception):
    """A bug or an outage unless a subclass says otherwise."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        """detail: one plain sentence with the remedy. extra: further members of the problem."""
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra


class ConfigurationError(AppError):
    """The settings, the database's schema or the machine make a start impossible."""

    code = "configuration"
    title = "The service is not configured correctly"


class Unauthorized(AppError):
    status, code, title = 401, "unauthorized", "Credentials are missing or wrong"


class ScopeMissing(AppError):
    """Carries `scope`: the one that the caller's key lacks."""

    status, code, title = 403, "scope_missing", "The API key may not do this"


class InvalidRequest(AppError):
    """A malformed body or parameter. Nothing was changed."""

    status, code, title = 422, "invalid_request", "The request is malformed"


class DuplicateHeader(AppError):
    status, code, title = 400, "duplicate_header", "A header that has to be unique came twice"


class MalformedHttp(AppError):
    status, code, title = 400, "malformed_http", "This is not HTTP as it has to be"


class PayloadTooLarge(AppError):
    status, code, title = 413, "payload_too_large", "The request body is too large"


class UnsupportedMedia(AppError):
    status, code, title = 415, "unsupported_media_type", "This type of content isn't taken here"


class BodyTooSlow(AppError):
    status, code, title = 408, "body_too_slow", "The request body took too long to arrive"


class HeadersTooLarge(AppError):
    status, code, title = 431, "headers_too_large", "The request's headers are too large"


class HeadersTooSlow(AppError):
    status, code, title = 408, "headers_too_slow", "The request's headers took too long to arrive"


class NotFound(AppError):
    status, code, title = 404, "not_found", "There is no such thing here"


class MailoutNotFound(NotFound):
    code, title = "mailout_not_found", "There is no such mailout"


class DetailsDropped(AppError):
    """Who got a mailout isn't known any more (LEDGER_RETENTION_DAYS). Nothing was changed."""

    status, code, title = 409, "details_dropped", "The details of a mailout were dropped"


class DetailsGone(DetailsDropped):
    status = 410


class JobNotFound(NotFound):
    code, title = "job_not_found", "There is no such job"


class KeyNotFound(NotFound):
    code, title = "key_not_found", "There is no such API key"


class KeyExists(AppError):
    status, code, title = 409, "key_exists", "An API key has this name"


class WarmupRunning(AppError):
    status, code, title = 409, "warmup_running", "The route is being warmed up already"


class WarmupNotRunning(NotFound):
    code, title = "warmup_not_running", "The route isn't being warmed up"


class TemplateNotFound(NotFound):
    code, title = "template_not_found", "There is no such template"


class ImportNotFound(NotFound):
    code, title = "import_not_found", "There is no such import"


class SubscriberNotFound(NotFound):
    code, title = "subscriber_not_found", "There is no such subscriber"


class SubscriberExists(AppError):
    status, code, title = 409, "subscriber_exists", "Somebody has this address already"


class SubscriberErased(AppError):
    status, code = 409, "subscriber_erased"
    title = "The person was erased at their own request, and may come back only by signing up"


class StatusProtected(AppError):
    """Carries `needs`: `asked` (they must have asked for mail themselves) or `force`."""

    status, code, title = 409, "status_protected", "The status can't be lifted like this"


class CountDiffers(AppError):
    """Carries `count`, the real one. Nothing was changed."""

    status, code, title = 409, "count_differs", "Not as many people fit as expected"


class PreconditionRequired(AppError):
    status, code, title = 428, "precondition_required", "Say which version you are changing"


class PreconditionFailed(AppError):
    """Carries `etag`: the present one. Nothing was changed."""

    status, code, title = 412, "precondition_failed", "It was changed since you read it"


class MailoutNotReady(AppError):
    """Carries `mailout_status`, the present state."""

    status, code, title = 409, "mailout_not_ready", "The mailout is not ready"


class AudienceEmpty(AppError):
    """Carries `mailout_status`: it stays what it was."""

    status, code, title = 409, "audience_empty", "Nobody is in the mailout's audience"


class SegmentNotFound(NotFound):
    code, title = "segment_not_found", "There is no such segment"


class SegmentExists(AppError):
    status, code, title = 409, "segment_exists", "A segment has this name"


class SegmentInUse(AppError):
    """Carries `used_by`: `segments` and `mailouts`, each with `id` and `name`."""

    status, code, title = 409, "segment_in_use", "The segment is used"


class SegmentRefused(AppError):
    """Its rule names a segment that there isn't, leads back to itself, or is too long."""

    status, code, title = 409, "segment_refused", "The segment can't have this rule"


class AudienceChanged(AppError):
    """Carries `count` (now), `before`, `added`, `removed`, `reasons`, `previous` (a mailout)."""

    status, code, title = 409, "audience_changed", "The audience has changed by more than a third"


class TransitionNotAllowed(AppError):
    status, code, title = 409, "transition_not_allowed", "The present state does not allow this"


class MailoutNotEditable(AppError):
    """Carries `mailout_status`."""

    status, code, title = 409, "mailout_not_editable", "The mailout can't be edited any more"


class NotionPageTaken(AppError):
    """Carries `mailout_id`: of the one that has the page."""

    status, code, title = 409, "notion_page_taken", "Another mailout has this Notion page"


class NotSendable(AppError):
    """Carries `findings`, as the preflight gives them, and `mailout_status`."""

    status, code, title = 409, "not_sendable", "The mailout could not be sent"


class TemplateInvalid(AppError):
    """A subject or body that can't be sent. Carries `field` and, where known, `line`."""

    status, code, title = 409, "template_invalid", "The mailout's content can't be sent"

    def __init__(self, detail: str, *, field: str, line: int | None = None) -> None:
        super().__init__(detail, field=field, **({} if line is None else {"line": line}))
        self.field, self.line = field, line


class NotionFileLeft(TemplateInvalid):
    """A text has the address of a file at Notion, which ends within the hour."""


class TemplateBroken(AppError):
    """A template that no mailout could be sent with. Carries `field` and, where known, `line`."""

    status, code, title = 422, "template_invalid", "The template can't be used"

    def __init__(self, detail: str, *, field: str, line: int | None = None) -> None:
        super().__init__(detail, field=field, **({} if line is None else {"line": line}))
        self.field, self.line = field, line


class TemplateExists(AppError):
    status, code, title = 409, "template_exists", "A template has this name"


class TemplateInUse(AppError):
    """Carries `users`: the mailouts and templates that need it."""

    status, code, title = 409, "template_in_use", "The template is used"


class IdempotencyKeyReused(AppError):
    status, code = 422, "idempotency_key_reused"
    title = "This Idempotency-Key was used with another body"


class SesNotConfigured(AppError):
    """A setting that sending requires is missing. Carries `missing`, their names."""

    status, code, title = 503, "ses_not_configured", "Sending is not configured"


class TooManyRequests(AppError):
    """Carries `retry_after`, seconds."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(AppError):
    """A part we depend on can't be reached now; the caller should try again.

    concerns_one: what is wrong may be of this request alone, so that others needn't wait for it.
    """

    status, code, title = 503, "unavailable", "Temporarily unavailable"
    concerns_one = False


class NotionAway(Unavailable):
    """Notion can't be reached, or asks to be left alone for a while. May carry `retry_after`, in
    seconds."""


class NotionRefused(AppError):
    """Notion refuses a request. Carries `notion_code` and `notion_status` (Notion's API, "Status
    codes")."""

    status, code, title = 502, "notion_refused", "Notion refused a request"


class HookNotFound(NotFound):
    code, title = "hook_not_found", "There is no such hook"


class HookEventNotFound(NotFound):
    code, title = "hook_event_not_found", "There is no such event"


class HookRefused(AppError):
    """Carries `field`."""

    status, code, title = 422, "hook_refused", "The hook can't be made like this"


class HookNotActive(AppError):
    """Carries `state`."""

    status, code, title = 409, "hook_not_active", "The hook isn't active"


class SlackAway(Unavailable):
    """Slack can't be reached, or asks to be left alone for a while. May carry `retry_after`, in
    seconds, and `is_unsure`: Slack may have done it."""


class SlackRefused(AppError):
    """Slack refuses a request. Carries `slack_error`, its word for why, `concerns_all`: any other
    message would be refused, too, and `is_of_channel`: where else it might be taken."""

    status, code, title = 502, "slack_refused", "Slack refused a request"


class SlackMessageGone(SlackRefused):
    """The message to be changed isn't there any more, or can't be changed by us."""


class NotionPageTooLarge(AppError):
    """A page that is no newsletter any more."""

    status, code, title = 422, "notion_page_too_large", "The page in Notion is too large"


class NotionNotConfigured(AppError):
    """Carries `missing`, the names of settings. Notion tries again for about a day."""

    status, code, title = 503, "notion_not_configured", "Notion's webhook is not configured"


class NotionSignatureWrong(Unauthorized):
    code, title = "notion_signature_wrong", "The signature is missing or wrong"


class ProviderNotConfigured(AppError):
    """Carries `missing`, the name of a setting. The provider tries again for hours."""

    status, code, title = 503, "provider_not_configured", "The provider's webhook is not configured"


class FallbackNotConfigured(AppError):
    """FALLBACK_PROVIDERS names nobody."""

    status, code, title = 409, "fallback_not_configured", "No provider may send in SES's place"


class PictureRefused(AppError):
    """A picture that no mail can have. Its words follow the picture's name: what is wrong with it,
    and what to do. Carries `problem`, the same in one word."""

    status, code, title = 422, "picture_refused", "The picture can't be used in a mail"


class PictureExpired(PictureRefused):
    """Its address has ended, as those of Notion's files do after an hour: a new one, read anew from
    Notion, works."""


class ShelfRefused(AppError):
    """The place that ASSETS_STORE names refuses us, or isn't there."""

    status, code, title = 502, "assets_store_refused", "Pictures can't be kept"


class SesRefused(Unavailable):
    """SES, or something in its place, refuses to answer: so it can be reached."""


class QueueAway(Unavailable):
    """A queue of RabbitMQ or SQS can't be reached, isn't there or refuses us. May carry
    `queue_code`: `missing`, `denied`."""


class DatabaseUnavailable(Unavailable):
    """The database can't be reached or can't take work. Nothing is known to have changed."""

    code, title = "database_unavailable", "The database can't be reached"


class UnreadableAnswer(Unavailable):
    """The database, or something in its place, answered what no function of ours answers."""

    code, title = "database_unavailable", "The database's answer can't be read"


class DatabaseError(AppError):
    """The database refused a call: a bug of ours, or a schema that doesn't fit.

    sqlstate: PostgreSQL's five-character code, or PostgREST's own (`PGRST202`).
    """

    code, title = "database_error", "The database refused a call"

    def __init__(self, detail: str, *, sqlstate: str | None) -> None:
        super().__init__(detail)
        self.sqlstate = sqlstate

    @property
    def concerns_arguments(self) -> bool:
        """Whether the same call with other arguments may pass. Else the access, the schema or
        something in between is at fault, whatever is called."""
        return self.sqlstate is not None and self.sqlstate.startswith(_OF_THE_ARGUMENTS)


# A refusal of what was passed: data exceptions (22), constraints (23, 44), limits (54), a function
# that objects (P0), a fault inside the server (XX).
_OF_THE_ARGUMENTS = ("22", "23", "44", "54", "P0", "XX")
