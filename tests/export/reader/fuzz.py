"""Fuzzes `fastmar inspect` with damaged learners and large malicious pickles.

    python -m tests.export.reader.fuzz --minutes 20

Each file is inspected in a separate process, whose processor time and resident memory the kernel reports. A file of up
to 10 MB may take 10 seconds and 1 GB in addition to the memory of the imports; it must be read, or refused with a code.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.export.reader.conftest import torch_zip
from tests.export.reader.mutate import mutant

SECONDS, MEMORY = 10.0, 1 << 30
LARGEST = 10_000_000
_READ, _REFUSED, _FAILED = 0, 3, 4  # exit status of a child


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _call(name: str, arguments: bytes) -> bytes:
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n".encode() + arguments + b"R"


_TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((" + _text("storage") + b"ctorch\nFloatStorage\n" + _text("0")
    + _text("cpu") + b"K\x04tQK\x00K\x04\x85K\x01\x85\x89)tR"
)  # fmt: skip

# Objects in the memo, which the repeated part can refer to with a few bytes.
_OBJECTS = (
    lambda rng: _text("k" * rng.choice((1, 60, 1_000_000))),
    lambda rng: b"(" + b"K\x01" * rng.choice((2, 90, 5_000)) + b"t",
    lambda rng: b"(" + b"N" * rng.choice((1, 1_000, 1_000_000)) + b"l",
    lambda rng: b"(" + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(rng.choice((1, 50_000)))) + b"d",
    lambda _: b"cos\nsystem\n",
    lambda _: b"cbuiltins\nlist\n",
    lambda _: b"ccollections\nOrderedDict\n",
    lambda _: b"cfastcore.foundation\nL\n",
    lambda _: b"cpathlib\nPosixPath\n",
    lambda _: b"ctorch._utils\n_rebuild_parameter\n",
    lambda _: b"cnumpy.core.multiarray\nscalar\n",
    lambda _: _call("numpy.dtype", _text("f8") + b"\x85"),
    lambda _: _call("builtins.complex", b"K\x01K\x02\x86"),
    lambda _: _call("datetime.timedelta", b"K\x01\x85"),
    lambda _: _TENSOR,
    lambda rng: b"\x8b" + struct.pack("<i", size := rng.choice((9, 100_000))) + b"\x7f" * size,
    lambda _: b"\x80\x02}",
    lambda _: b"\x8f",
    lambda _: b"cos\nsystem\n)R",
)  # fmt: skip
# Opcodes of the repeated part. Most of them pop no more objects than the opcodes before them push.
_PIECES = (
    *(b"h" + bytes([n]) for n in range(8)), b"h\x00", b"h\x01", b"h\x02",
    b"N", b"K\x01", b"M\x00\x01", b")", b"]", b"}", b"\x8f", b"G?\xf0\x00\x00\x00\x00\x00\x00", b"X\x01\x00\x00\x00a",
    b"\x85", b"\x86", b"\x87", b"R", b"\x81", b"b", b"s", b"a", b"2", b"0", b"(", b"t", b"l", b"d", b"u", b"e",
    b"\x90", b"\x91", b"\x94", b"q\x09", b"r\xff\x00\x01\x00", b"I1\n", b"F1.5\n", b"\x8a\x09" + b"\x11" * 9,
)  # fmt: skip
_TEMPLATES = (
    b"}", b"]", b"\x8f", b"N\x85", b"N0", b")", b"(t", b"(l", b"}\x94", b"N\x94", b"N\x85\x94", b"h\x00)R", b"h\x00)R0",
    b"h\x00h\x01\x85R", b"h\x00h\x01\x86R", b"h\x00h\x01b", b"}h\x01Ns", b"\x8f(h\x01\x90", b"(h\x01\x91", b"h\x01",
    b"h\x01\x85", b"h\x01\x85R", b"h\x00]\x81}b", b"G?\xf0\x00\x00\x00\x00\x00\x00", b"X\x01\x00\x00\x00a",
    b"h\x002\x86R",
)  # fmt: skip
# Places in a learner for the repeated part, so that the inspection reads it.
_PLACES = ("dls", "model", "loss_func", "cbs", "opt", "opt_func")
_MODULE = b"ctorch.nn.modules.linear\nLinear\n)\x81"


def large(seed: int) -> tuple[str, bytes]:
    """A name and a torch zip whose pickle repeats a short sequence of opcodes up to 10 MB."""
    rng = random.Random(seed)
    prologue = b"".join(rng.choice(_OBJECTS)(rng) + b"q" + bytes([n]) + b"0" for n in range(8))
    if rng.random() < 0.5:
        piece = rng.choice(_TEMPLATES)
    else:
        piece = b"".join(rng.choice(_PIECES) for _ in range(rng.randrange(1, 7)))
    size = rng.choice((10_000, 1_000_000, LARGEST - len(prologue) - 2_000))
    body = b"(" + piece * max(1, size // len(piece)) + rng.choice((b"l", b"t", b"d", b"\x91"))
    keyed = rng.random()
    if keyed < 0.15:  # distinct keys whose hashes an attacker can choose
        step = rng.choice((1, 1 << 20, (1 << 61) - 1, 1 << 40))
        count = size // 14
        keys = (b"\x8a\x09" + ((n * step) % (1 << 63)).to_bytes(9, "little") + b"N" for n in range(count))
        body, piece = b"}(" + b"".join(keys) + b"u", b"integers"
    elif keyed < 0.25:
        doubles = (b"G" + struct.pack(">d", 2.0 ** (n % 1000) * (n + 1)) + b"N" for n in range(size // 10))
        body, piece = b"}(" + b"".join(doubles) + b"u", b"doubles"
    return f"large {seed} {piece!r} {len(body):,}", torch_zip(
        b"\x80\x04" + prologue + _in_learner(body, rng) + b".", {"data/0": bytes(16)}
    )


def _in_learner(body: bytes, rng: random.Random) -> bytes:
    place = rng.choice((*_PLACES, "root", "modules", "parameters", "tls", "procs", "nested modules"))
    if place == "root":
        return body
    attributes = {"dls": b"cfastai.data.core\nDataLoaders\n)\x81}b", "model": _MODULE + b"}b", "loss_func": b"N"}
    inner = body
    if place in ("modules", "parameters"):
        attributes["model"] = _MODULE + b"}" + _text(f"_{place}") + inner + b"sb"
    elif place == "nested modules":
        attributes["model"] = (_MODULE + b"}" + _text("_modules") + b"}" + _text("m")) * 300 + inner + b"ssb" * 300
    elif place in ("tls", "procs"):
        data = b"cfastai.tabular.core\nTabularPandas\n)\x81}" + _text(place) + inner + b"sb"
        loader = b"cfastai.tabular.core\nTabDataLoader\n)\x81}" + _text("dataset") + data + b"sb"
        attributes["dls"] = b"cfastai.data.core\nDataLoaders\n)\x81}" + _text("loaders") + b"(" + loader + b"lsb"
    else:
        attributes[place] = inner
    pairs = b"".join(_text(name) + value for name, value in attributes.items())
    return b"cfastai.learner\nLearner\n)\x81}(" + pairs + b"ub"


@dataclass(frozen=True)
class Execution:
    """The cost and result of one file: processor seconds, and resident memory without the imports in bytes."""

    name: str
    seconds: float
    memory: int
    result: str


def execute(path: Path, name: str) -> Execution:
    """Inspect `path` in a forked process."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(_resident()).encode())
        os._exit(_inspect(path))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        before = int(pipe.read())
    _, status, usage = os.wait4(child, 0)
    result = {_READ: "read", _REFUSED: "refused"}.get(os.waitstatus_to_exitcode(status), f"failed with {status}")
    seconds = usage.ru_utime + usage.ru_stime
    memory = usage.ru_maxrss * 1024 - before
    if result in ("read", "refused") and (seconds > SECONDS or memory > MEMORY):
        result = f"failed: {result} above the limits"
    return Execution(name, seconds, memory, result)


def _write(path: Path, learner: bytes, seed: int) -> str:
    """Write the file of a seed, and return its name. A separate process does it, because its unused memory would hide
    the memory that reading needs."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        name, content = large(seed) if seed % 2 else mutant(learner, seed)
        path.write_bytes(content)
        os.write(writing, name.encode()[:4000])
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def _inspect(path: Path) -> int:
    from fastmar_export.errors import ExportError
    from fastmar_export.inspection import inspect_pickle

    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + 3 * MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    try:
        json.dumps(inspect_pickle(path), default=str)
    except ExportError as error:
        return _REFUSED if error.code and error.fix else _FAILED
    except BaseException as error:  # the failures that fuzzing looks for
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        print(f"  {type(error).__name__}: {error!s:.200} ({place.filename}:{place.lineno})", flush=True)
        return _FAILED
    return _READ


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def run(learner: bytes, minutes: float, first: int) -> int:
    """Fuzz for `minutes`, print a summary, and return the number of failures."""
    import fastmar_export.inspection  # noqa: F401 - imported before the processes fork

    tally: Counter[str] = Counter()
    slowest = largest = Execution("none", 0.0, 0, "")
    end, seed = time.monotonic() + 60 * minutes, first
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzzed.pkl"
        while time.monotonic() < end:
            done = execute(path, _write(path, learner, seed))
            kind = done.result if done.result in ("read", "refused") else "failed"
            tally[kind] += 1
            if kind == "failed":
                print(f"{done.name}: {done.result}; {done.seconds:.1f} s, {done.memory >> 20} MB", flush=True)
            slowest = max(slowest, done, key=lambda one: one.seconds)
            largest = max(largest, done, key=lambda one: one.memory)
            seed += 1
    counts = f"{tally['read']:,} read, {tally['refused']:,} refused, {tally['failed']} failed"
    print(f"{seed - first:,} executions: {counts}")
    print(f"slowest: {slowest.seconds:.2f} s of processor time ({slowest.name})")
    print(f"largest: {largest.memory >> 20} MB without the imports ({largest.name})")
    return tally["failed"]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first file")
    parser.add_argument("--only", type=int, help="inspect only the file of one seed, and print its cost")
    parser.add_argument("--learner", type=Path, help="the learner to damage (default: a small learner)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        learner = options.learner
        if learner is None:
            from tests.export.reader.make_learners import make

            make(Path(folder))
            learner = Path(folder) / "tabular.pkl"
        content = learner.read_bytes()
        if options.only is not None:
            import fastmar_export.inspection  # noqa: F401

            path = Path(folder) / "one.pkl"
            print(execute(path, _write(path, content, options.only)))
            return
    sys.exit(min(1, run(content, options.minutes, options.first)))


if __name__ == "__main__":
    main()
