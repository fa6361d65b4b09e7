"""Errors of the web app.

WebError                  for the operator who runs `fastmar web`; carries a fix
└── PageError                 for the visitor of a page; carries an HTTP status
    ├── RequestRefused            the request is invalid: too large, not a CSV file, sent by another site
    ├── TooManyTables             the visitor or the client address has reached its limit of tables
    └── Unavailable               a temporary failure: the model server is down, the model is loading
"""

from __future__ import annotations

from dataclasses import dataclass


class WebError(Exception):
    """A message for a person: what was found, and how to fix it.

    Attributes:
        code: a stable name of the problem, for programs and tests.
        message: what was found.
        fix: what to do.
    """

    code = "web_error"

    def __init__(self, message: str, *, fix: str, code: str | None = None) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.message}\n  Fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class FieldMessage:
    """A problem or a remark that is shown beside a field.

    Attributes:
        code: a stable name of the problem.
        text: the message for the visitor.
    """

    code: str
    text: str


class PageError(WebError):
    """An error that is shown as a page. Its code is in the HTML, as the attribute `data-code`.

    Attributes:
        status: HTTP status.
        title: heading of the page.
        field: name of the record's field with the problem, or None.
        faults: problem by field, if the server lists several.
        operator: what the operator of the web app can do; pages fold it up. Empty if the visitor can fix the problem.
        is_temporary: whether the same request may succeed later.
        retry_after: seconds after which to try again, if known.
    """

    code = "page_error"
    status = 500
    title = "This did not work"
    is_temporary = False
    retry_after: int | None = None

    def __init__(
        self,
        message: str,
        *,
        fix: str,
        code: str | None = None,
        status: int | None = None,
        title: str | None = None,
        field: str | None = None,
        operator: str = "",
    ) -> None:
        super().__init__(message, fix=fix, code=code)
        self.operator = operator
        self.status = status or self.status
        self.title = title or self.title
        self.field = field
        self.faults: dict[str, FieldMessage] = {}


class RequestRefused(PageError):
    """The request is invalid."""

    code = "refused_by_the_page"
    status = 400


class TooManyTables(PageError):
    """The visitor or the client address has reached its limit of tables."""

    code = "too_many_tables"
    status = 429
    title = "Too many tables"

    def __init__(self, message: str, *, fix: str, retry_after: int, code: str | None = None) -> None:
        super().__init__(message, fix=fix, code=code)
        self.retry_after = retry_after


class Unavailable(PageError):
    """A temporary failure: the same request may succeed later."""

    code = "unavailable"
    status = 503
    is_temporary = True


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]
