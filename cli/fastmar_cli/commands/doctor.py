"""Check whether an archive can be served on this machine.

Checks Java and TorchServe, then does with the archive what TorchServe's worker does: opens it, replays its golden
records, and answers one request through the handler. No code from the archive runs: the installed runtime reads its
data.

Examples:
  fastmar doctor model_store/flights.mar
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fastmar_cli.console import out
from fastmar_contract.display import printable

ARCHIVE = "archive"  # the check that the others on the archive depend on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("model", metavar="MODEL.mar", type=Path)


def run(args: argparse.Namespace) -> int:
    """Print a line for each check; exit status 1 if one failed."""
    from rich.text import Text

    from fastmar_contract.errors import FastmarError, describe_error

    failed = 0
    for name, check in _checks(args.model):
        try:
            finding = check()
        except FastmarError as error:
            failed += 1
            failure = f"{name}: {describe_error(error)}"
        except Exception as error:  # a damaged archive may raise anything
            failed += 1
            failure = f"{name}: {type(error).__name__}: {error}\n  Fix: export the learner again."
        else:
            out.print(Text.assemble(("ok     ", "green"), printable(f"{name}: {finding}")))
            continue
        out.print(Text.assemble(("FAILED ", "red"), printable(failure)))
        if name == ARCHIVE:  # the next checks would fail for the same reason
            break
    return 1 if failed else 0


def _checks(model: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "Java", _java
    yield "TorchServe", _torchserve
    yield from checks_of(model)


def checks_of(model: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """The checks of an archive, by name."""
    yield ARCHIVE, lambda: _archive(model)
    yield "runtime", lambda: _runtime(model)
    yield "golden records", lambda: _golden(model)
    yield "a request", lambda: _request(model)


def _java() -> str:
    from fastmar_serving.torchserve.java import find_java

    java = find_java()
    return f"{java.path}, version {java.version}"


def _torchserve() -> str:
    from fastmar_serving.torchserve.java import find_torchserve

    return str(find_torchserve().jar)


def _archive(model: Path) -> str:
    from fastmar_runtime.bundle import BundleFiles
    from fastmar_serving.archives import read_archive

    BundleFiles(model).check()
    archive = read_archive(model)
    return f"{archive.label}, {archive.path.stat().st_size:,} bytes, {archive.workers} worker(s)"


def _runtime(model: Path) -> str:
    """Compare the archive's runtime with the installed one."""
    import fastmar_runtime
    from fastmar_runtime.bundle import BundleFiles
    from fastmar_runtime.checks import read_spec

    files = BundleFiles(model)
    spec = read_spec(files)
    package = Path(fastmar_runtime.__file__).parent
    with zipfile.ZipFile(model) as archive:
        different = [
            name
            for name in archive.namelist()
            if name.startswith(f"{package.name}/")
            and _digest(files.read(name)) != _digest_of_file(package.parent / name)
        ]
    if not different:
        return f"{spec.runtime}, identical to the installed one; protocol {spec.protocol}"
    return f"{spec.runtime} in the archive differs from {fastmar_runtime.__version__} here in {', '.join(different)}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of_file(path: Path) -> str:
    return _digest(path.read_bytes()) if path.is_file() else ""


def _golden(model: Path) -> str:
    from fastmar_runtime.golden import check_golden, read_golden
    from fastmar_runtime.predictor import BundleFiles, Predictor

    predictor = Predictor.open(model)
    golden = read_golden(BundleFiles(model), [t.name for t in predictor.spec.inputs])
    difference = check_golden(predictor, golden)
    return f"{len(golden.records)} reproduced, largest difference {difference:.1g}"


def _request(model: Path) -> str:
    """Answer one golden record through the handler."""
    from fastmar_cli.worker import answer_like_a_worker
    from fastmar_runtime.errors import BundleUnreadable

    status, body = answer_like_a_worker(model)
    if status != 200:
        raise BundleUnreadable(f"status {status}: {body.decode()}", fix="export the learner again.")
    return body.decode()
