"""Exports all small learners of the tests, and writes digests of their archives.

    python -m tests.export.compare_exports OUT.json [--learners FOLDER] [--with OTHER.json]

The learners are pickled to FOLDER, or read from there, so that two versions of the exporter have the same input. The
digests cover all members of an archive except the sources of the runtime. `--with` compares them with those of another
run; the exit status is 1 if they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastmar_contract.errors import FastmarError
from fastmar_export.exporter import Options, export_learner
from tests.export import pictures, tables

SOURCES = ("fastmar_contract/", "fastmar_runtime/", "fastmar_handler.py")
Digests = dict[str, dict[str, Any]]


def learners(folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """A name and a function that makes the learner; `folder` is for pictures."""
    for name, table in tables.CASES.items():
        yield f"table: {name}", lambda table=table: tables.make_learner(table)[0]
    for name, picture in pictures.CASES.items():
        place = folder / f"pictures-{name}"
        yield f"picture: {name}", lambda case=picture, place=place: pictures.make_learner(case, place)
    for name, config in pictures.CONFIGS.items():
        yield f"transforms: {name}", lambda config=config: pictures.tiny_learner(config, folder / "pictures")


def pickled(name: str, make: Callable[[], Any], folder: Path) -> Path:
    """The learner's pickle in `folder`, written if it is missing."""
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.pkl"
    if not path.exists():
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fastai's
            make().export(path)
    return path


def digests(pickle: Path) -> dict[str, Any]:
    """Digests of the archive's members, and the export's stages; the error of a learner that can't be exported."""
    stages: list[str] = []
    with tempfile.TemporaryDirectory() as output:
        try:
            exported = export_learner(pickle, Options("model", output=Path(output)), stages.append)
        except FastmarError as error:
            return {"stages": stages, "refused": str(error)}
        with zipfile.ZipFile(exported.path) as archive:
            members = {
                name: hashlib.sha256(archive.read(name)).hexdigest()
                for name in archive.namelist()
                if not name.startswith(SOURCES)
            }
    return {"stages": stages, "difference": exported.difference, "members": members}


def compare(ours: Digests, theirs: Digests) -> list[str]:
    """A line for each learner whose exports differ."""
    lines = [f"{name}: not in both" for name in ours.keys() ^ theirs.keys()]
    for name in ours.keys() & theirs.keys():
        keys = ours[name].keys() | theirs[name].keys()
        differing = [key for key in keys if ours[name].get(key) != theirs[name].get(key)]
        one, other = ours[name].get("members", {}), theirs[name].get("members", {})
        differing += [member for member in one.keys() | other.keys() if one.get(member) != other.get(member)]
        if differing:
            lines.append(f"{name}: {', '.join(sorted(differing))}")
    return sorted(lines)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--learners", type=Path, help="folder of pickles")
    parser.add_argument("--with", type=Path, dest="other", help="digests of another run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: Digests = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.learners or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in learners(Path(temporary)):
            found[name] = digests(pickled(name, make, folder))
            print(name, found[name].get("refused", "exported"), file=sys.stderr)
    arguments.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    lines = compare(found, json.loads(arguments.other.read_text("utf-8"))) if arguments.other else []
    print("\n".join([*lines, f"{len(found)} learners, {len(lines)} differ"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
