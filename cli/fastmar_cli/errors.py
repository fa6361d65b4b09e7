"""What a command says to a person when it refuses.

    CommandError              a message with a fix; `main` prints it and ends with status 1
    ├── ServeError                see server/errors.py
    └── ...                       each command's own

The runtime and the client have errors of the same form and trees of their own: a server's image holds this package and
the client without the runtime, which travels in each archive.
"""

from __future__ import annotations


class CommandError(Exception):
    """A message for a person: what was found, where, and what to do about it.

    Attributes:
        code: a stable snake_case name of the problem, for programs.
        message: one sentence that says what was found and where.
        fix: one sentence that says what to do.
    """

    code = "command_error"

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.message}\n  Fix: {self.fix}"
