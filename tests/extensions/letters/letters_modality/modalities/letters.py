"""Texts: a record is ``{"text": "..."}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.errors import RecordError
from fastmar_runtime.modalities import Modality
from fastmar_runtime.preprocess import Group
from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


class Preprocessor:
    chunk = 1000

    def __init__(self, spec: Any) -> None:
        self._steps = [load_step(state) for state in spec.steps]

    def __call__(self, records: Sequence[Any]) -> tuple[dict[str, Any], Report]:
        groups, report = self.groups(records)
        return (groups[0].inputs if groups else {}), report

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        report = Report(len(records))
        texts = {}
        for row, record in enumerate(records):
            text = record.get("text") if isinstance(record, dict) else None
            if isinstance(text, str):
                texts[row] = text
            else:
                error = RecordError("not_a_text", "the record has no text.", fix='send {"text": "..."}.', field="text")
                report.refuse(row, record if isinstance(record, RecordError) else error)
        batch: dict[str, Any] = {"text": [*texts.values()]}
        for step in self._steps:
            batch = step(batch, report)
        return ([Group([*texts], batch)] if texts else []), report

    def add_names(self, records: Sequence[Any], answers: list[Any]) -> list[Any]:
        return answers


class Letters(Modality):
    name = "letters"
    record = "text"
    docs_record = '<p>A text: <code>{"text": "…"}</code>.</p>'

    def preprocessor(self, spec: Any) -> Preprocessor:
        return Preprocessor(spec)

    def record_schema(self, spec: Any) -> dict[str, Any]:
        return SCHEMA

    def component(self, spec: Any) -> dict[str, Any]:
        return SCHEMA

    def example(self, spec: Any) -> dict[str, Any]:
        return {"text": "hello"}


MODALITY = Letters()
