"""Example commands on the page `docs`: curl, Python, JavaScript."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Callable
from string import Template
from typing import Any

import orjson

RECORDS = {
    "curl": """\
curl $url \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer KEY' \\
  --data-binary $record""",
    "Python": """\
import requests

record = $record
response = requests.post("$url", json=record, headers={"Authorization": "Bearer KEY"}, timeout=30)
print(response.status_code, response.json())""",
    "JavaScript": """\
const record = $record;
const response = await fetch("$url", {
  method: "POST",
  headers: {"Content-Type": "application/json", Authorization: "Bearer KEY"},
  body: JSON.stringify(record),
});
console.log(response.status, await response.json());""",
}

PICTURES = {
    "curl": """\
curl $url \\
  -H 'Content-Type: image/jpeg' \\
  -H 'Authorization: Bearer KEY' \\
  --data-binary @picture.jpg""",
    "Python": """\
import requests

headers = {"Content-Type": "image/jpeg", "Authorization": "Bearer KEY"}
with open("picture.jpg", "rb") as file:
    response = requests.post("$url", data=file, headers=headers, timeout=30)
print(response.status_code, response.json())""",
    "JavaScript": """\
const response = await fetch("$url", {
  method: "POST",
  headers: {"Content-Type": file.type, Authorization: "Bearer KEY"},
  body: file,  // from <input type="file">
});
console.log(response.status, await response.json());""",
}


def _json(record: Any) -> str:
    return orjson.dumps(record, option=orjson.OPT_INDENT_2).decode()


_LITERALS: dict[str, Callable[[Any], str]] = {
    "curl": lambda record: shlex.quote(_json(record)),
    "Python": lambda record: pprint.pformat(record, sort_dicts=False),
    "JavaScript": _json,
}


def commands(templates: dict[str, str], record: Any, url: str) -> dict[str, str]:
    """The command for each tool, with `record` as a literal of the tool's language."""
    return {
        tool: Template(text).substitute(record=_LITERALS[tool](record), url=url) for tool, text in templates.items()
    }
