"""Client with requests. Arguments: URL, folder of inputs. Prints the answers by name, as JSON."""

import json
import sys
from pathlib import Path

import requests

url, folder = sys.argv[1], Path(sys.argv[2])
adult, colours = f"{url}/predictions/adult", f"{url}/predictions/colours"
record = json.loads((folder / "record.json").read_text())
pictures = [("files", (folder / f"{name}.png").open("rb")) for name in ("red", "green", "blue")]
answers = {
    "json": requests.post(adult, json=record),
    "invocations": requests.post(f"{url}/models/adult/invoke", json=record),
    "csv": requests.post(adult, data=(folder / "rows.csv").read_bytes(), headers={"Content-Type": "text/csv"}),
    "csv part": requests.post(adult, files={"data": (folder / "rows.csv").open("rb")}),
    "gzip": requests.post(
        adult,
        data=(folder / "record.json.gz").read_bytes(),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ),
    "picture": requests.post(colours, data=(folder / "red.png").open("rb"), headers={"Content-Type": "image/png"}),
    "pictures": requests.post(colours, files=pictures),
}
print(json.dumps({name: answer.json() for name, answer in answers.items()}))
