"""Scores Parquet files with Ray Data."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, read_parquet
from ray.exceptions import RayError, RayTaskError

from fastmar_bulk.answers import AnswerTable
from fastmar_bulk.errors import ClusterFailed, ClusterTooSmall, ClusterUnreachable
from fastmar_bulk.frames import check_names
from fastmar_bulk.layout import Layout, Options
from fastmar_bulk.portable import PortableScorer
from fastmar_bulk.ray_data import actor_class
from fastmar_bulk.ray_data.sink import AnswersDatasink, Folder
from fastmar_bulk.scorer import open_scorer
from fastmar_bulk.sources import ending, find_files, unreadable
from fastmar_bulk.sources.arrow_files import coded_columns, has_bytes
from fastmar_bulk.stores import local_path
from fastmar_bulk.tables import Table
from fastmar_bulk.unused import UnusedColumns
from fastmar_client.errors import CsvUnreadable, CsvUnwritable
from fastmar_client.scoring import Scored
from fastmar_contract.errors import FastmarError, TableUnreadable
from fastmar_contract.urls import is_url
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec

_ROWS_A_BLOCK = 65_536  # by default
_CONNECT_TIMEOUT = 10.0  # seconds
_REASON = re.compile(r"^[A-Za-z_][\w.]*: .+$", re.MULTILINE)  # the line of a traceback with the exception


def score_folder(
    predictor: Predictor,
    archive: Path,
    table: str,
    target: str,
    options: Options,
    address: str | None = None,
    *,
    shows_progress: bool = False,
) -> Scored:
    """Score Parquet files, and write a folder of them: ``part-000000.parquet`` and so on, in the order of the rows.

    Args:
        predictor: the opened archive.
        archive: its path.
        table: a path, a folder, a pattern, or a URL; all nodes of the cluster must be able to read it.
        target: a path or a URL; all nodes must be able to write it.
        options: the options of the run. `batch_size` is the number of rows of a file, `workers` the number of actors
            with one CPU each; `encoding`, `resume` and `progress` are not used.
        address: the address of the cluster; None for the one on this machine, which is started if there is none.
        shows_progress: whether Ray prints its progress to standard error.

    Raises:
        CsvUnreadable: a table can't be read, or does not have a column that the model needs.
        CsvUnwritable: the output can't be written, or a chosen column does not exist.
        RecordRefused: a row can't be scored, and `errors` is "fail".
        ClusterUnreachable: there is no cluster at `address`.
        ClusterTooSmall: there are not enough CPUs.
        ClusterFailed: Ray ended the run.
    """
    files = _files(local_path(table), predictor.spec)
    folder = Folder(_absolute(local_path(target)))
    _check_apart(files, folder.name)
    with _cluster(address) as cpus, _errors(table):
        pool = ActorPoolStrategy(size=_actors(options.workers, cpus))
        # Ray starts 32 processes by default, which only read the footers of files.
        os.environ.setdefault("RAY_DATA_PARQUET_FOOTER_NUM_ACTORS", str(min(32, cpus)))
        if not shows_progress:
            logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        dataset = read_parquet(files, partitioning=None)
        dataset.context.enable_progress_bars = shows_progress
        schema = pa.schema(zip(dataset.schema().names, dataset.schema().types, strict=True))
        names = schema.names
        check_names(names)
        scorer, answer_table = open_scorer(predictor, options.column, names, table), AnswerTable(predictor.spec)
        UnusedColumns(predictor.spec, scorer, options).report(names, table)
        pictures = {field.name for field in schema if has_bytes(field.type)} & {*scorer.wanted}
        layout = Layout(names, scorer, answer_table, options, hidden=pictures)
        answers = list(answer_table.columns(scorer(Table({}, 0)), layout.computed))
        sink = AnswersDatasink(folder, layout, answers, coded_columns(predictor.spec), options.errors)
        sink.prepare(overwrite=options.overwrite)

        read = {*scorer.wanted, *layout.kept}
        dataset.context.execution_options.preserve_order = True
        rows = dataset.select_columns([name for name in names if name in read])
        blocks = rows.repartition(target_num_rows_per_block=options.batch_size or _ROWS_A_BLOCK, strict=True)
        portable = PortableScorer(
            archive.read_bytes(), column=options.column, keep=layout.kept, columns=layout.computed
        )
        answered = blocks.map_batches(
            actor_class(portable),
            batch_size=None,
            batch_format="pyarrow",
            compute=pool,
        )
        answered.write_datasink(sink)
    if not sink.scored.rows:
        raise CsvUnreadable(f"{table} has no rows.", fix="add rows to the table.", code="no_rows")
    return sink.scored


def _files(table: str, spec: Spec) -> list[str]:
    files = [_absolute(file) for file in find_files(table, spec)]
    if others := [file for file in files if ending(file) not in (".parquet", ".pq")]:
        raise CsvUnreadable(
            f"{others[0]} is not a Parquet file, which is all that Ray reads here.",
            fix="convert it to Parquet, or score it without --engine ray.",
            code="not_parquet",
        )
    return files


def _absolute(path: str) -> str:
    """A path for other processes, which have another current folder."""
    return path if is_url(path) else str(Path(path).absolute())


def _check_apart(files: Sequence[str], folder: str) -> None:
    """Refuse an output folder that has tables of the run."""
    if inside := [file for file in files if f"{file}/".startswith(f"{folder}/")]:
        raise CsvUnwritable(
            f"{folder} has the input table {inside[0]}.", fix="choose another output folder.", code="same_file"
        )


@contextmanager
def _cluster(address: str | None) -> Iterator[int]:
    """Connect to a cluster, unless this process is connected; yields its number of CPUs."""
    if ray.is_initialized():
        yield _cpus()
        return
    try:
        _check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterUnreachable(
            f"the Ray cluster at {address or 'this machine'} can't be reached ({error!s:.300}).",
            fix="check --address and that the cluster is running: `ray status --address HOST:6379`.",
        ) from error
    try:
        yield _cpus()
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise an OSError at once if nothing listens at an address, where Ray would try it for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and not is_url(host):
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT).close()


def _cpus() -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _actors(workers: int | None, cpus: int) -> int:
    """The number of actors, with a CPU each. One CPU stays free: reading and writing would wait for it forever."""
    actors = workers or cpus - 1
    if not 1 <= actors < cpus:
        raise ClusterTooSmall(
            f"the Ray cluster has {cpus} CPUs, and {max(actors, 1)} actors and one task that reads need more.",
            fix="use fewer --workers, or add nodes." if cpus > 1 else "add nodes to the cluster.",
        )
    return actors


@contextmanager
def _errors(table: str) -> Iterator[None]:
    """Raise errors of Ray as those of this package."""
    try:
        yield
    except TableUnreadable as error:
        raise CsvUnreadable(error.message, fix=error.fix, code=error.code) from error
    except RayTaskError as error:
        if isinstance(error.cause, FastmarError):
            raise error.cause from None
        raise _failed(error) from error
    except RayError as error:
        raise _failed(error) from error
    except (OSError, pa.ArrowException) as error:
        raise unreadable(table, error) from error


def _failed(error: Exception) -> ClusterFailed:
    reason = _REASON.search(str(error))
    return ClusterFailed(
        f"Ray ended the run ({reason.group() if reason else type(error).__name__:.300}).",
        fix="run it again; `ray logs` shows why, for example that a node has no fastmar or no memory.",
    )
