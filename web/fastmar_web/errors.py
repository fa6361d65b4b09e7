"""What can go wrong in the web app, for the person who runs it and for the one who uses it.

WebError                  a message with a fix, for whoever runs `fastmar web`
└── PageError                 for whoever looks at the page: has an HTTP status
    ├── Refused                   what was sent can't be taken: too large, no CSV, another site's form
    ├── TooMany                   the visitor or the client address has as many tables as it may have
    └── Unavailable               the model server is down, the model not ready: trying again may help
"""

from __future__ import annotations


class WebError(Exception):
    """A message for a person: what was found, and what to do about it.

    Attributes:
        code: a stable name of the problem, for programs.
        message: what was found.
        fix: what to do.
    """

    code = "web_error"

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.message}\n  Fix: {self.fix}"


class PageError(WebError):
    """A page that could not be made.

    Attributes:
        status: HTTP status.
        title: what the page is headed with.
        field: the record's field that the problem is in, or None.
        faults: problem by field, where the server lists several.
        passing: whether it may pass by itself, so that trying again makes sense.
        retry_after: seconds after which trying again makes sense, where that is known.
    """

    code = "page_error"
    status = 500
    title = "This did not work"
    passing = False
    retry_after: int | None = None

    def __init__(
        self, message: str, *, fix: str, status: int | None = None, title: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.status = status or self.status
        self.title = title or self.title
        self.field = field
        self.faults: dict[str, str] = {}


class Refused(PageError):
    """What was sent can't be taken."""

    code = "refused_by_the_page"
    status = 400


class TooMany(PageError):
    """The visitor or the client address has as many tables as it may have."""

    code = "too_many_tables"
    status = 429
    title = "Too many tables"

    def __init__(self, message: str, *, fix: str, retry_after: int) -> None:
        super().__init__(message, fix=fix)
        self.retry_after = retry_after


class Unavailable(PageError):
    """There is no answer now; there may be one later."""

    code = "unavailable"
    status = 503
    passing = True


def sentence(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
