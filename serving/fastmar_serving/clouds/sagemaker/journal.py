"""What a command has done so far, told as it happens, and told again when the command ends half-way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastmar_contract.errors import FastmarError


@dataclass
class Journal:
    """Tells what is done.

    Attributes:
        say: prints a line that stays.
        stage: shows what is being waited for.
        made: what this command made at AWS.
    """

    say: Callable[[str], None]
    stage: Callable[[str], None]
    made: list[str] = field(default_factory=list)

    def done(self, what: str) -> None:
        """Something was made."""
        self.made.append(what)
        self.say(f"made    {what}")

    def there(self, what: str) -> None:
        """Something was there already."""
        self.say(f"there   {what}")

    @contextmanager
    def accounted(self, what_next: str) -> Iterator[None]:
        """Add to an error, or to Ctrl-C, what was made before it, and what can be done with that."""
        try:
            yield
        except FastmarError as error:
            if self.made:
                error.fix += f" Made before that, and still there: {', '.join(self.made)}. {what_next}"
                error.args = (error.message, error.fix)
            raise
        except KeyboardInterrupt:
            if self.made:
                self.say(f"Interrupted. Made, and still there: {', '.join(self.made)}. {what_next}")
            raise
