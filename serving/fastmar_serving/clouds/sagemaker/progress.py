"""Progress of a command, and the list of the resources that it has created, in case that it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastmar_contract.errors import FastmarError


@dataclass
class Progress:
    """Reports what a command does.

    Attributes:
        write: prints a line.
        stage: shows a temporary status.
        resources: resources that the command has created at AWS.
    """

    write: Callable[[str], None]
    stage: Callable[[str], None]
    resources: list[str] = field(default_factory=list)

    def created(self, resource: str) -> None:
        """Report a new resource."""
        self.resources.append(resource)
        self.write(f"created {resource}")

    def exists(self, resource: str) -> None:
        """Report a resource that existed already."""
        self.write(f"exists  {resource}")

    @contextmanager
    def report_created(self, advice: str) -> Iterator[None]:
        """Add the created resources and the advice to an error, or print them after Ctrl-C."""
        try:
            yield
        except FastmarError as error:
            if self.resources:
                error.fix += f" Created before the error: {', '.join(self.resources)}. {advice}"
                error.args = (error.message, error.fix)
            raise
        except KeyboardInterrupt:
            if self.resources:
                self.write(f"Interrupted. Created so far: {', '.join(self.resources)}. {advice}")
            raise
