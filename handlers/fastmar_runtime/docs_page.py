"""The page `docs` of a model: its columns and labels, example commands, and a form that sends a request.

The page is a single file without external resources. All text of the model is escaped, and the Content-Security-Policy
in its head allows only the style and the script of `docs_assets.py`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

import orjson

from fastmar_contract.values import CATEGORY, DATE, NUMBER, TEXT
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.docs_assets import CSS, SCRIPT
from fastmar_runtime.docs_commands import commands
from fastmar_runtime.modalities import modality
from fastmar_runtime.openapi import ERRORS
from fastmar_runtime.openapi_schemas import example_record
from fastmar_runtime.schema import answer_schema, json_value
from fastmar_runtime.spec import IMAGE, Field, Spec

MAX_CATEGORIES = 40  # categories of a column
MAX_LABELS = 100
MAX_LENGTH = 80  # characters of one category or label
MARK = "\0"  # placeholder for the URL in commands; cannot occur in records, where JSON and repr escape it
URL = '<span class="url">http://127.0.0.1:8080/predictions/{name}</span>'


def docs_page(spec: Spec) -> str:
    """The HTML of the page."""
    name, version = escape(spec.name), escape(spec.version)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} {version}</title>
<style>{CSS}</style>
</head>
<body>
<main>
<h1>{name} <small>version {version}</small></h1>
{_notices(spec)}
<p>Machine-readable: <a href="schema">schema</a>, <a href="openapi.json">OpenAPI 3.1</a>,
<a href="openapi-3.0.json">OpenAPI 3.0</a>.</p>
<h2 id="record">Record</h2>
{_fields(spec)}
<h2>Answer</h2>
{_answer(spec)}
<h2>Commands</h2>
<p>Omit the header <code>Authorization</code> if the server needs no key.</p>
{_commands(spec)}
<h2>Try it</h2>
{_form(spec)}
<h2>Errors</h2>
<p>An error's body is
<code>{{"error": {{"code": …, "field": …, "record": …, "message": …, "fix": …}}}}</code>.</p>
{_table("Status codes", ("Status", "Meaning"), ((code, escape(text)) for code, text in ERRORS.items()))}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _policy() -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest(CSS)}; script-src {digest(SCRIPT)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )


def _notices(spec: Spec) -> str:
    messages = [notice["message"] for notice in spec.notices if isinstance(notice.get("message"), str)]
    return "<ul>{}</ul>".format("".join(f"<li>{escape(text)}</li>" for text in messages)) if messages else ""


def _table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are HTML."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(_row(row) for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(cells: Iterable[str]) -> str:
    first, *others = cells
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'


def _code(value: Any) -> str:
    """A value as JSON in HTML; long values are cut."""
    text = orjson.dumps(value).decode()
    return f"<code>{escape(text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + '…')}</code>"


def _list(values: list[Any], limit: int) -> str:
    shown = ", ".join(_code(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown}, and {len(values) - limit:,} more"


def _fields(spec: Spec) -> str:
    described = modality(spec.kind).docs_record
    if described is not None:
        return described
    rows = ((_code(f.name), _TYPES[f.kind], _requirement(f), "<br>".join(_values(f))) for f in spec.fields)
    return _table("Columns of a record", ("Column", "Type", "Required", "Values"), rows)


_TYPES = {NUMBER: "number", CATEGORY: "category", DATE: "date", TEXT: "text", IMAGE: "image"}


def _requirement(field: Field) -> str:
    if field.optional:
        return "the date, or all of its parts" if field.kind == DATE else "no: computed from the date"
    return "yes; null is allowed" if field.nullable or field.kind == CATEGORY else "yes"


def _values(field: Field) -> Iterator[str]:
    if field.categories:
        yield _list([json_value(value) for value in field.categories], MAX_CATEGORIES)
    if field.kind == DATE:
        yield 'an ISO 8601 date such as <code>"2024-01-31"</code>'
    if field.aliases:
        yield f"alias: {_list([*field.aliases], MAX_CATEGORIES)}"
    if field.default is not None and field.kind != CATEGORY:
        spread = "" if field.spread is None else f" ± {_code(field.spread)}"
        yield f"typical: {_code(json_value(field.default))}{spread}"
    if field.minimum is not None and field.maximum is not None:
        yield f"in the reference data: {_code(field.minimum)} to {_code(field.maximum)}"


def _answer(spec: Spec) -> str:
    parts = ", ".join(f"<code>{escape(name)}</code>" for name in answer_schema(spec)["properties"])
    labels = answer_kind(spec.decode).labels(spec.decode)
    known = f"<p>Labels: {_list(labels, MAX_LABELS)}.</p>" if labels else ""
    targets = f"<p>Predicted: {_list([*spec.targets], MAX_LABELS)}.</p>" if spec.targets else ""
    return f"<p>A JSON object with {parts}.</p>{targets}{known}"


def _commands(spec: Spec) -> str:
    url = URL.format(name=escape(spec.name))
    found = commands(modality(spec.kind).docs_commands, _sample(spec), MARK)
    return "".join(
        f'<h3>{tool}</h3><pre tabindex="0"><code>{escape(text, quote=False).replace(MARK, url)}</code></pre>'
        for tool, text in found.items()
    )


def _sample(spec: Spec) -> Any:
    """The example record after a JSON round trip, which removes NaN."""
    return orjson.loads(orjson.dumps(example_record(spec)))


def _form(spec: Spec) -> str:
    body = modality(spec.kind).docs_input
    if body is None:
        sample = escape(orjson.dumps(_sample(spec), option=orjson.OPT_INDENT_2).decode())
        body = (
            '<label for="body">Body, as JSON: a record or a list of records</label>'
            f'<textarea id="body" name="body" spellcheck="false" required>\n{sample}</textarea>'
        )
    return f"""<noscript><p>This form needs JavaScript. The commands above don't.</p></noscript>
<form id="try">
{body}
<label for="key">Key, if the server needs one</label>
<input id="key" name="key" type="password" autocomplete="off">
<button type="submit">Send</button>
</form>
<p id="status" role="status"></p>
<pre id="answer" tabindex="0" aria-label="The server's answer"></pre>"""
