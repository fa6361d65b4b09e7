"""Record archives with requests and answers: `python -m tests.frozen.record FOLDER`.

It is run once for each protocol number. Its files are never written again, because they must come from the code of
their time to show that later code still reads them.
"""

from __future__ import annotations

import base64
import json
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastmar_export.exporter import export_learner
from fastmar_export.options import Options
from tests import pictures
from tests.export import tables

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
LIBRARIES = ("numpy", "onnxruntime", "Pillow")


def machine() -> dict[str, str]:
    """The processor and library versions on which the last bits of a network's outputs depend."""
    processors = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    flags = next((line.partition(":")[2].split() for line in processors if line.startswith("flags")), [])
    vectors = " ".join(sorted(flag for flag in flags if flag.startswith(("avx", "fma", "amx"))))
    return {"processor": f"{platform.machine()} {vectors}", **{name: version(name) for name in LIBRARIES}}


def request(body: bytes, media_type: str, **headers: str) -> dict[str, Any]:
    return {"type": media_type, "headers": headers, "body": base64.b64encode(body).decode()}


def table(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """A table learner with missing values and date parts, and requests in all formats."""
    case = tables.Case(
        change=lambda df: tables.dated(tables.holes(df)),
        cats=["color", "size", *tables.DATE_FLAGS],
        conts=["age", "weight", *(f"sale{part}" for part in tables.DATE_PARTS)],
    )
    learn, df = tables.make_learner(case)
    records = [tables.as_record(row) for row in tables.rows(case, df)]
    header = list(records[0])
    csv = [";".join(header), *(";".join("" if row[n] is None else str(row[n]) for n in header) for row in records[:9])]
    dated = {"color": "red", "size": "M", "age": 40, "weight": "71.5", "saledate": "2019-02-28"}
    wrong = {"color": "Red", "size": " S", "age": 1e39, "saledate": "yesterday"}
    requests = [
        *(request(json.dumps(record).encode(), JSON) for record in records),
        request(json.dumps(records).encode(), JSON),
        request(json.dumps({"instances": records[:3]}).encode(), JSON),
        request(b"\n".join(json.dumps(record).encode() for record in [*records[:4], wrong]), LINES),
        request("\r\n".join(csv).encode("utf-16"), CSV),
        request(json.dumps(dated).encode(), JSON),
        request(json.dumps(wrong).encode(), JSON),
        request(b'{"color": ', JSON),
        request(b"", JSON),
        request(b"", "", **{"content-type": "application/schema-request+json"}),
    ]
    return learn, requests


def picture(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """A picture learner, and pictures of several formats, modes and sizes."""
    learn = pictures.make_learner(folder / "pictures")
    files = [
        pictures.file_of(pictures.picture(colour, seed, size).convert(mode), kind)
        for seed, (colour, size, mode, kind) in enumerate(
            [
                ("red", (80, 60), "RGB", "JPEG"),
                ("green", (33, 90), "RGB", "PNG"),
                ("blue", (48, 48), "L", "PNG"),
                ("red", (7, 200), "P", "GIF"),
                ("green", (64, 64), "RGBA", "PNG"),
                ("blue", (90, 30), "RGB", "BMP"),
                ("blue", (90, 31), "RGB", "TIFF"),
            ],
            start=100,
        )
    ]
    encoded = [{"name": str(n), "image": {"b64": base64.b64encode(each).decode()}} for n, each in enumerate(files)]
    return learn, [
        *(request(each, "application/octet-stream") for each in files),
        request(json.dumps({"instances": encoded}).encode(), JSON),
        request(files[0][:500], "image/jpeg"),
        request(json.dumps({"color": "red"}).encode(), JSON),
    ]


def answers_of(archive: Path, requests: Path) -> Iterator[dict[str, Any]]:
    """The answers of the runtime in the archive, in a process without the installed one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        with zipfile.ZipFile(archive) as bundle:
            bundle.extractall(folder)
        answers = Path(name) / "answers.json"
        command = [sys.executable, Path(__file__).with_name("ask.py"), folder, requests.resolve(), answers]
        subprocess.run(command, check=True, cwd=name, env={"PYTHONPATH": str(folder)})
        yield from json.loads(answers.read_text("utf-8"))


def main(target: Path) -> None:
    target.mkdir(parents=True)
    for make in (table, picture):
        with tempfile.TemporaryDirectory() as name:
            learn, requests = make(Path(name))
            learn.export(Path(name) / "learner.pkl")
            export_learner(Path(name) / "learner.pkl", Options(name=make.__name__, output=target))
        requests_file = target / f"{make.__name__}.requests.json"
        requests_file.write_text(json.dumps(requests, indent=1) + "\n", "utf-8")
        answers = list(answers_of(target / f"{make.__name__}.mar", requests_file))
        (target / f"{make.__name__}.answers.json").write_text(json.dumps(answers, indent=1) + "\n", "utf-8")
    (target / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
