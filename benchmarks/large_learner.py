"""Measures the time and memory of `fastmar inspect` for a large learner.

    python -m benchmarks.large_learner [--megabytes 300]

Exports a tabular learner with fastai whose embedding and vocabulary fill a file of that size, and inspects it in
another process. Time and memory do not include the import of the reader.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from fastmar_export.inspection import inspect_pickle

WIDTH = 64  # of the embedding


def make(path: Path, megabytes: int) -> None:
    """Export a learner of about `megabytes` to `path`."""
    import pandas as pd  # noqa: PLC0415 - only in the child process
    from fastai.tabular.all import Categorify, CategoryBlock, TabularDataLoaders, tabular_learner  # noqa: PLC0415

    rows = megabytes * 1_000_000 // (4 * WIDTH + 25)  # per category: a row of floats, its name, its code
    names = [f"customer {number:09}" for number in range(rows)]
    table = pd.DataFrame({"customer": names, "label": ["yes", "no"] * (rows // 2) + ["no"] * (rows % 2)})
    loaders = TabularDataLoaders.from_df(
        table, procs=[Categorify], cat_names=["customer"], y_names="label", y_block=CategoryBlock(), bs=64
    )
    learner = tabular_learner(loaders, layers=[8], emb_szs={"customer": WIDTH}, path=path.parent)
    learner.export(path.name)


def inspect(path: Path) -> tuple[float, int]:
    """CPU seconds, and bytes of resident memory in addition to the imports."""
    before, start = _peak(), time.process_time()
    facts = inspect_pickle(path)
    seconds = time.process_time() - start
    assert facts["kind"] == "tabular", facts["problems"]
    return seconds, _peak() - before


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Export the learner in a child process, inspect it in this one, and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.pkl"
        child = os.fork()
        if child == 0:
            make(path, options.megabytes)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit("the export of the learner failed")
        size = path.stat().st_size
        seconds, memory = inspect(path)
    print(f"file: {size / 1e6:,.0f} MB")
    print(f"inspect: {seconds:.1f} s of CPU time, {seconds / size * 1e8:.2f} s for 100 MB")
    print(f"memory: {memory / 1e6:,.0f} MB in addition to the imports, {memory / size:.2f} times the file")


if __name__ == "__main__":
    main()
