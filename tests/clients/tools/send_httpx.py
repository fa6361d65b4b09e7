"""Client with httpx. Arguments: URL, folder of inputs. Prints the answers by name, as JSON."""

import json
import sys
from pathlib import Path

import httpx

url, folder = sys.argv[1], Path(sys.argv[2])
record = json.loads((folder / "record.json").read_text())
with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
    adult, colours = "/predictions/adult", "/predictions/colours"
    pictures = [("files", (folder / f"{name}.png").open("rb")) for name in ("red", "green", "blue")]
    answers = {
        "json": client.post(adult, json=record),
        "invocations": client.post("/models/adult/invoke", json=record),
        "csv": client.post(adult, content=(folder / "rows.csv").read_bytes(), headers={"Content-Type": "text/csv"}),
        "csv part": client.post(adult, files={"data": (folder / "rows.csv").open("rb")}),
        "gzip": client.post(
            adult,
            content=(folder / "record.json.gz").read_bytes(),
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        ),
        "picture": client.post(
            colours, content=(folder / "red.png").read_bytes(), headers={"Content-Type": "image/png"}
        ),
        "pictures": client.post(colours, files=pictures),
    }
print(json.dumps({name: answer.json() for name, answer in answers.items()}))
