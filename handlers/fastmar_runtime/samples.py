"""The sample pictures of an archive: ``{"samples": [RECORD, ...]}``, each of which the model answers."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import orjson

from fastmar_contract.members import SAMPLES
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.pictures import BASE64
from fastmar_runtime.spec import IMAGE

NAME = "samples"  # of the document, and of its list


def write_samples(pictures: Sequence[bytes]) -> bytes:
    """The document with these files of pictures."""
    records = [{IMAGE: {BASE64: base64.b64encode(data).decode()}} for data in pictures]
    return orjson.dumps({NAME: records})


def read_samples(files: BundleFiles | None) -> bytes | None:
    """The document in an archive; None if it has no samples.

    Raises:
        BundleUnreadable: it is damaged.
    """
    if files is None or not files.contains(SAMPLES):
        return None
    document = files.json(SAMPLES)
    if not isinstance(document, dict) or not isinstance(document.get(NAME), list):
        raise BundleUnreadable(f"{SAMPLES} in {files.path} has no list of samples.", fix="export the learner again.")
    return orjson.dumps(document)


def count_samples(files: BundleFiles) -> int:
    """The number of sample pictures in an archive."""
    document = read_samples(files)
    return 0 if document is None else len(orjson.loads(document)[NAME])
