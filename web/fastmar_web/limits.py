"""Limits on the tables of one visitor and of one client address, so that one of them leaves room for the others.

A visitor is a browser, identified by a random id in a cookie. A client that sends no cookie is a new visitor with each
request, so only the limit of its address applies.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fastmar_web.errors import TooManyTables
from fastmar_web.presentation import format_size

RETRY_SECONDS = 15  # until an active table may be done


class Table(Protocol):
    """The facts about a table that limits count."""

    @property
    def is_active(self) -> bool:
        """Whether it is being read or scored, or waits in the queue."""
        ...

    @property
    def stored_bytes(self) -> int:
        """Bytes that its files take on the disk."""
        ...

    @property
    def remaining(self) -> float:
        """Seconds until it is deleted, unless it is used again."""
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What one visitor or one client address may have at the same time.

    Attributes:
        who: the subject of error messages: "This browser".
        tables: maximum number of tables.
        active: maximum number of tables that are being read or scored, or wait in the queue.
        stored_bytes: maximum bytes of tables and their answers.
    """

    who: str
    tables: int
    active: int
    stored_bytes: int

    def check_active(self, tables: Sequence[Table]) -> None:
        """Check that one more of the owner's `tables` may be active.

        Raises:
            TooManyTables: the limit is reached.
        """
        active = sum(table.is_active for table in tables)
        if active >= self.active:
            raise TooManyTables(
                f"{self.who} has {_tables(active)} in progress; the limit is {self.active}.",
                fix="wait until one is done, or stop one, then send it again.",
                retry_after=RETRY_SECONDS,
                code="too_many_active_tables",
            )

    def check_room(self, tables: Sequence[Table], size: int) -> None:
        """Check that one more table of `size` bytes fits beside the owner's `tables`.

        Raises:
            TooManyTables: it does not fit; `retry_after` says when it will.
        """
        if self.fits(tables, size):
            return
        seconds = math.ceil(self._seconds_until_room(tables, size))
        stored = sum(table.stored_bytes for table in tables)
        raise TooManyTables(
            f"{self.who} has {_tables(len(tables))} of {format_size(stored)} here; the limit is {_tables(self.tables)} "
            f"and {format_size(self.stored_bytes)}. If they are not used, there is room for this one in "
            f"{_minutes(seconds)}.",
            fix="remove a table that is no longer needed, or send it again later.",
            retry_after=seconds,
        )

    def fits(self, tables: Sequence[Table], size: int) -> bool:
        """Whether one more table of `size` bytes fits beside `tables`."""
        return len(tables) < self.tables and sum(table.stored_bytes for table in tables) + size <= self.stored_bytes

    def _seconds_until_room(self, tables: Sequence[Table], size: int) -> float:
        """Seconds until enough of `tables` are deleted for the new one to fit."""
        left = sorted(tables, key=lambda table: table.remaining)
        seconds = 1.0
        while left and not self.fits(left, size):
            seconds = max(seconds, left.pop(0).remaining)
        return seconds


VISITOR_LIMIT = Limit("This browser", tables=20, active=3, stored_bytes=500_000_000)
ADDRESS_LIMIT = Limit("This network address", tables=60, active=10, stored_bytes=2_000_000_000)


def client_network(address: str) -> str:
    """The client that an address belongs to; for IPv6, the /64 network, which is what one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"


def _minutes(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"
