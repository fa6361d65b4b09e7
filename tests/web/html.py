"""Reads the codes and counts out of pages, so that tests do not depend on wording."""

from __future__ import annotations

import re
from html import unescape


def codes(page: str) -> list[str]:
    """Codes of the errors, problems, remarks and findings in a page, in their order."""
    return re.findall(r'data-code="([^"]*)"', page)


def code_of_error(page: str) -> str:
    """The code of the only error in a page."""
    [code] = re.findall(r'class="[^"]*failure"[^>]* data-code="([^"]*)"', page)
    return str(code)


def field_codes(page: str, field: str) -> list[str]:
    """Codes of the problems and remarks at the field with this id."""
    [messages] = re.findall(rf'id="{field}-messages">(.*?)</div>', page, re.DOTALL)
    return codes(messages)


def job_section(page: str) -> str:
    """The start tag of a table's job, which has its state, its counts, and the code of its error."""
    [tag] = re.findall(r'<section class="card job"[^>]*>', page)
    return str(tag)


def job_state(page: str) -> str:
    """The state of a table's job."""
    return re.findall(r'data-state="([^"]*)"', job_section(page))[0]


def row_counts(page: str) -> tuple[int, int, int]:
    """Rows, rows with an error, and rows with a warning of a table that is scored."""
    rows, errors, warned = re.findall(r'data-(?:rows|errors|warned)="(\d+)"', job_section(page))
    return int(rows), int(errors), int(warned)


def findings(page: str) -> dict[str, int]:
    """Findings about the rows of a table: number of rows by code, 0 for those without a number."""
    found = re.findall(r'<li class="(?:bad|odd|good)" data-code="(\w+)"(?: data-count="(\d+)")?', page)
    return {code: int(count or 0) for code, count in found}


def links(html: str) -> list[str]:
    """Addresses of the links in a part of a page, in their order."""
    return [unescape(link) for link in re.findall(r'href="([^"]*)"', html)]
