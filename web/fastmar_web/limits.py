"""How many tables one visitor, and one client address, may have, so that one of them leaves room for the others.

A visitor is a browser: a random id in a cookie. Whoever sends no cookie is a new visitor with each request, and is
limited by the address alone.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fastmar_web.errors import TooMany
from fastmar_web.presentation import megabytes

SOON = 15  # seconds until a table that is at work may be done


class Table(Protocol):
    """What counts of a table."""

    @property
    def at_work(self) -> bool:
        """Whether it is being read or scored, or waits for that."""
        ...

    @property
    def held(self) -> int:
        """Bytes that it takes on the disk."""
        ...

    @property
    def remaining(self) -> float:
        """Seconds until it is deleted if nobody looks at it."""
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What one visitor or one client address may have at a time.

    Attributes:
        who: begins the message of a refusal: "This browser".
        tables: at most.
        at_work: tables that are being read or scored, or wait for that, at most.
        held: bytes of tables and their answers, at most.
    """

    who: str
    tables: int
    at_work: int
    held: int

    def check_work(self, tables: Sequence[Table]) -> None:
        """See that one more of the owner's `tables` may be at work.

        Raises:
            TooMany: it may not.
        """
        at_work = sum(table.at_work for table in tables)
        if at_work >= self.at_work:
            raise TooMany(
                f"{self.who} has {_tables(at_work)} at work, and may have {self.at_work}.",
                fix="send it again when one of them is done, or stop one.",
                retry_after=SOON,
            )

    def check_room(self, tables: Sequence[Table], size: int) -> None:
        """See that there is room for one more table, of `size` bytes, beside the owner's `tables`.

        Raises:
            TooMany: there is not; says when there will be.
        """
        if self.fits(tables, size):
            return
        seconds = math.ceil(self._frees(tables, size))
        held = sum(table.held for table in tables)
        raise TooMany(
            f"{self.who} has {_tables(len(tables))} of {megabytes(held)} here, and may have {self.tables} of "
            f"{megabytes(self.held)} in all. There is room for this one in {_minutes(seconds)} at the latest if nobody "
            "looks at them.",
            fix="remove a table that is no longer needed, or send it again later.",
            retry_after=seconds,
        )

    def fits(self, tables: Sequence[Table], size: int) -> bool:
        """Whether there is room for one more table, of `size` bytes, beside `tables`."""
        return len(tables) < self.tables and sum(table.held for table in tables) + size <= self.held

    def _frees(self, tables: Sequence[Table], size: int) -> float:
        """Seconds until so many of `tables` are deleted that the new one fits."""
        left = sorted(tables, key=lambda table: table.remaining)
        seconds = 1.0
        while left and not self.fits(left, size):
            seconds = max(seconds, left.pop(0).remaining)
        return seconds


OF_A_VISITOR = Limit("This browser", tables=20, at_work=3, held=500_000_000)
OF_AN_ADDRESS = Limit("This network address", tables=60, at_work=10, held=2_000_000_000)


def client(address: str) -> str:
    """The client that an address belongs to: of IPv6, the network of 64 bits that one subscriber has."""
    try:
        found = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"


def _minutes(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"
