"""Reads damaged copies of a learner's file.

    python tests/export/reader/mutate.py learner.pkl --count 1000

Each copy must be read or refused, within two seconds and a gigabyte.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

SECONDS, MEMORY = 2.0, 1 << 30
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)


class TooSlow(BaseException):
    """A BaseException, so that the reader can't catch it."""


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 32))):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice((*_EXTREMES, rng.randrange(256), changed[at] ^ (1 << rng.randrange(8))))
    return bytes(changed)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def swap(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((2, 16, 512))
    first, second = sorted(rng.randrange(max(len(data) - size, 1)) for _ in range(2))
    return b"".join((data[:first], data[second : second + size], data[first + size : second],
                     data[first : first + size], data[second + size :]))  # fmt: skip


def insert(data: bytes, rng: random.Random) -> bytes:
    at, source = rng.randrange(len(data)), rng.randrange(len(data))
    piece = rng.choice((rng.randbytes(rng.randrange(1, 64)), data[source : source + rng.randrange(1, 4096)]))
    return data[:at] + piece + data[at:]


def drop(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 4, 64)) :]


def opcodes(data: bytes, rng: random.Random) -> bytes:
    """Replace bytes by opcodes, which keeps more of the pickle readable than arbitrary bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 20))):
        changed[rng.randrange(len(changed))] = rng.choice(
            b"R\x81\x92bsuae()l]}t\x85\x86\x87012qrhjcio\x93\x94Q\x8f\x90\x91N."
        )
    return bytes(changed)


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (flip, truncate, swap, insert, drop, opcodes)


def mutant(data: bytes, seed: int) -> tuple[str, bytes]:
    """A name and a copy of a torch zip with damaged bytes, directory, or pickle (with a correct checksum)."""
    rng = random.Random(seed)
    damage = rng.choice(DAMAGES)
    target = rng.choice(("file", "headers", "pickle", "pickle", "pickle"))
    if target == "file":
        return f"{seed} {damage.__name__} file", damage(data, rng)
    if target == "headers":  # the directory is at the end, the first local header at the start
        tail = min(len(data) // 2, 4096)
        head, middle, directory = data[:128], data[128:-tail], data[-tail:]
        if rng.random() < 0.3:
            head = damage(head, rng)
        else:
            directory = damage(directory, rng)
        return f"{seed} {damage.__name__} headers", head + middle + directory
    return f"{seed} {damage.__name__} pickle", with_pickle(data, lambda pickled: damage(pickled, rng))


def with_pickle(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The same torch zip with another pickle and a correct checksum."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, change(content) if entry.filename.endswith("data.pkl") else content)
    return out.getvalue()


def outcome(path: Path) -> str:
    """``read``, ``refused``, or an error message."""
    from fastmar_export.errors import NotALearner, UnreadableFile
    from fastmar_export.reader import describe_call, read_learner_file

    def too_slow(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        file = read_learner_file(path)
        for call in file.calls[:100]:
            describe_call(call)
        for leak in file.leaks[:100]:
            str(leak)
    except (UnreadableFile, NotALearner):
        return "refused"
    except BaseException as problem:  # a failure of the reader
        return f"{type(problem).__name__}: {problem}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "read"


def run(source: Path, count: int, first: int) -> int:
    """Read `count` mutants in this process; print and return the number of failures."""
    import torch  # noqa: F401 - its memory is not counted

    import fastmar_export.reader  # noqa: F401

    data = source.read_bytes()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally: Counter[str] = Counter()
    slowest = (0.0, "none")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.pkl"
        for seed in range(first, first + count):
            name, changed = mutant(data, seed)
            path.write_bytes(changed)
            start = time.perf_counter()
            result = outcome(path)
            slowest = max(slowest, (time.perf_counter() - start, name))
            if result not in ("read", "refused"):
                print(f"{name}: {result}")
                result = "failed"
            tally[result] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"read {tally['read']}, refused {tally['refused']}, failed {tally['failed']}; slowest {slowest[0]:.3f} s "
        f"({slowest[1]}); peak memory {peak // 1024} MB, {(peak - before) // 1024} MB over that of the imports"
    )
    return tally["failed"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Read damaged copies of a learner's file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first copy")
    options = parser.parse_args()
    # A child process, because the limits can't be removed, and to detect a crash of the interpreter.
    child = multiprocessing.get_context("spawn").Process(
        target=_exit_with_failures, args=(options.file, options.count, options.first)
    )
    child.start()
    child.join()
    sys.exit(child.exitcode)


def _exit_with_failures(source: Path, count: int, first: int) -> None:
    sys.exit(min(run(source, count, first), 1))


if __name__ == "__main__":
    main()
