"""Code examples in curl and Python that send a page's request. They name the key's variable, never its value."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

VARIABLE = "FASTMAR_KEY"


@dataclass(frozen=True, slots=True)
class Snippets:
    """The same request in two languages."""

    curl: str
    python: str


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
        lines = [
            f"record = {_literal(record)}",
            "",
            *self._client(),
            f"    answer = client.predict({self._arguments('record')})",
        ]
        return Snippets(self._curl("application/json", f"-d {shlex.quote(body)}"), "\n".join([*lines, "print(answer)"]))

    def picture(self) -> Snippets:
        """Code that sends a picture."""
        arguments = self._arguments('"photo.jpg"')
        lines = [*self._client(), f"    answer = client.predict({arguments})", "print(answer)"]
        return Snippets(self._curl("image/jpeg", "--data-binary @photo.jpg"), "\n".join(lines))

    def table(self) -> Snippets:
        """Code that sends a CSV file."""
        arguments = self._arguments('"rows.csv", "answers.csv"')
        lines = [*self._client(), f"    client.score_csv({arguments})"]
        return Snippets(self._curl("text/csv", "--data-binary @rows.csv"), "\n".join(lines))

    def _curl(self, content_type: str, data: str) -> str:
        key = f' \\\n  -H "Authorization: Bearer ${VARIABLE}"' if self._needs_key else ""
        return f"curl -s {shlex.quote(self._url)}{key} \\\n  -H 'Content-Type: {content_type}' \\\n  {data}"

    def _client(self) -> list[str]:
        key = f', token=os.environ["{VARIABLE}"]' if self._needs_key else ""
        imports = ["import os", ""] if self._needs_key else []
        return [*imports, "from fastmar_client import Client", "", f"with Client({self._base!r}{key}) as client:"]

    def _arguments(self, data: str) -> str:
        version = f", version={self._version!r}" if self._version else ""
        return f"{self._model!r}, {data}{version}"


def _literal(record: dict[str, Any]) -> str:
    lines = [f"    {name!r}: {value!r}," for name, value in record.items()]
    return "\n".join(["{", *lines, "}"])
