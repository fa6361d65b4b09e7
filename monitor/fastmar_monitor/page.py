"""The page of a report: one HTML file without scripts, which loads nothing."""

from __future__ import annotations

from html import escape
from pathlib import Path

from fastmar_monitor.errors import MonitorError

_STYLE = Path(__file__).with_name("report.css")


def page(title: str, content: str) -> str:
    """An HTML page.

    Args:
        title: the title as text.
        content: the content of the body, as HTML.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE.read_text("utf-8")}</style></head><body><main>
{content}</main></body></html>
"""


def write(html: str, path: Path) -> None:
    """Write a page.

    Raises:
        MonitorError: the file can't be written.
    """
    try:
        path.write_text(html, "utf-8")
    except OSError as error:
        raise MonitorError(
            f"{path} can't be written ({error.strerror}).", fix="check the folder.", code="report_not_written"
        ) from error
