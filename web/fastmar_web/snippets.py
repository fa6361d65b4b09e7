"""Code examples that send a page's request. They name the key's variable, never its value."""

from __future__ import annotations

import json
import mimetypes
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

VARIABLE = "FASTMAR_KEY"
PHOTO = "photo.jpg"  # name of a picture, until one is chosen


@dataclass(frozen=True, slots=True)
class Snippets:
    """The same request in several languages."""

    curl: str
    python: str
    javascript: str
    needs_key: bool

    @property
    def languages(self) -> tuple[tuple[str, str, str], ...]:
        """Id, name and code of each language, in the order of the tabs."""
        return ("curl", "curl", self.curl), ("python", "Python", self.python), ("js", "JavaScript", self.javascript)


class SnippetWriter:
    """Writes code examples for one model.

    Args:
        url: the model server's public address.
        model, version: the version may be None.
        needs_key: whether the server needs a key.
    """

    def __init__(self, url: str, model: str, version: str | None, *, needs_key: bool) -> None:
        self._url = f"{url}/predictions/{quote(model, safe='')}" + (f"/{quote(version, safe='')}" if version else "")
        self._base = url
        self._model = model
        self._version = version
        self._needs_key = needs_key

    def record(self, record: dict[str, Any]) -> Snippets:
        """Code that sends a record."""
        body = json.dumps(record, ensure_ascii=False)
        python = [
            *self._client(f"record = {_literal(record)}", ""),
            f"    answer = client.predict({self._arguments('record')})",
            "print(answer)",
        ]
        pretty = json.dumps(record, ensure_ascii=False, indent=2)
        return self._snippets(
            "application/json",
            f"-d {shlex.quote(body)}",
            python,
            [f"const record = {pretty};", ""],
            "JSON.stringify(record)",
        )

    def picture(self, name: str = PHOTO) -> Snippets:
        """Code that sends the picture with this file name."""
        lines = [*self._client(), f"    answer = client.predict({self._arguments(_path(name))})", "print(answer)"]
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._file(name, content_type, lines)

    def table(self) -> Snippets:
        """Code that sends a CSV file."""
        arguments = self._arguments('"rows.csv", "answers.csv"')
        return self._file("rows.csv", "text/csv", [*self._client(), f"    client.score_csv({arguments})"])

    def _file(self, name: str, content_type: str, python: list[str]) -> Snippets:
        data = f"--data-binary {shlex.quote(f'@{name}')}"
        imported = ['import { readFile } from "node:fs/promises";', ""]
        return self._snippets(content_type, data, python, imported, f"await readFile({_javascript(name)})")

    def _snippets(self, content_type: str, data: str, python: list[str], head: list[str], body: str) -> Snippets:
        """The snippets for a body: `data` for curl; `head` and `body` are lines and an expression of JavaScript."""
        key = f' \\\n  -H "Authorization: Bearer ${VARIABLE}"' if self._needs_key else ""
        curl = f"curl -s {shlex.quote(self._url)}{key} \\\n  -H 'Content-Type: {content_type}' \\\n  {data}"
        authorization = [f"    Authorization: `Bearer ${{process.env.{VARIABLE}}}`,"] if self._needs_key else []
        javascript = [
            *head,
            f"const response = await fetch({_javascript(self._url)}, {{",
            '  method: "POST",',
            "  headers: {",
            f'    "Content-Type": "{content_type}",',
            *authorization,
            "  },",
            f"  body: {body},",
            "});",
            "if (!response.ok) throw new Error(await response.text());",
            "const answer = await response.json();",
            "console.log(answer);",
        ]
        return Snippets(curl, "\n".join(python), "\n".join(javascript), self._needs_key)

    def _client(self, *before: str) -> list[str]:
        """The lines of Python that import and open the client, with other lines between."""
        key = f', token=os.environ["{VARIABLE}"]' if self._needs_key else ""
        imports = ["import os", ""] if self._needs_key else []
        opened = f"with Client({self._base!r}{key}) as client:"
        return [*imports, "from fastmar_client import Client", "", *before, opened]

    def _arguments(self, data: str) -> str:
        version = f", version={self._version!r}" if self._version else ""
        return f"{self._model!r}, {data}{version}"


def _literal(record: dict[str, Any]) -> str:
    lines = [f"    {name!r}: {value!r}," for name, value in record.items()]
    return "\n".join(["{", *lines, "}"])


def _path(name: str) -> str:
    return json.dumps(name) if name.isascii() else repr(name)


def _javascript(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
