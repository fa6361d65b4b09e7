"""Runs an archive's handler in this process, as TorchServe's worker does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from fastmar_contract.members import RECORDS
from fastmar_runtime.engines.torchserve import Handler, open_checked
from fastmar_runtime.errors import BundleError, BundleUnreadable
from fastmar_runtime.predictor import BundleFiles


class _Context:
    """The part of TorchServe's context that a handler uses."""

    def __init__(self, model: Path, name: str) -> None:
        self.model_name = name
        self.model_yaml_config: dict[str, Any] = {}
        self.system_properties = {"model_dir": str(model)}
        self.metrics = None
        self.status = 200

    def get_request_header(self, _index: int, key: str) -> Any:
        return self.get_all_request_header(_index).get(key)

    def get_all_request_header(self, _index: int) -> dict[str, Any]:
        return {"content-type": "application/json", "body": {"content-type": "application/json"}}

    def set_response_status(self, code: int, _phrase: str, _index: int) -> None:
        self.status = code

    def set_response_content_type(self, _index: int, _value: str) -> None:
        pass


def answer_like_a_worker(model: Path) -> tuple[int, bytes]:
    """Load `model` and answer its first golden record; returns status and body.

    Raises:
        BundleError: the worker would not become ready.
    """
    open_checked(model, threads=1)  # before the handler, which prints errors and exits
    record = BundleFiles(model).json(RECORDS)[0]
    context = _Context(model, model.stem)
    handler = Handler()
    try:
        handler.initialize(context)
    except SystemExit as error:
        raise _as_bundle_error(error) from error
    [body] = handler.handle([{"body": orjson.loads(orjson.dumps(record))}], context)
    return context.status, body


def _as_bundle_error(error: SystemExit) -> BundleError:
    cause = error.__cause__
    if isinstance(cause, BundleError):
        return cause
    return BundleUnreadable("the handler could not load the archive.", fix="read the handler's message above.")
