"""Scores datasets of Ray Data with an archive."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastmar._extras import extra


def scorer(
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    keep: str | Sequence[str] = "all",
    columns: Sequence[str] | None = None,
    errors: str = "column",
) -> type:
    """A class for `Dataset.map_batches` of Ray Data. Its answers are the columns of `Model.score`.

        scored = dataset.map_batches(
            fastmar.ray.scorer("model_store/adult.mar", keep=["id"]),
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=4),
        )

    The class contains the bytes of the archive: only this process needs the file. Each actor opens the model once,
    checks that its machine reproduces the recorded answers, and has a thread for each of its CPUs (`num_cpus` of
    `map_batches`). Each node needs fastmar with the extra `ray-data`. Leave at least one CPU of
    the cluster free for the task that reads: otherwise Ray waits forever.

    Args:
        path: the archive (`.mar`).
        column: the column with the pictures or texts; see `Model.score`. Each node needs the files
            of a column of paths.
        keep: columns of the dataset in the result: "all", or names.
        columns: columns of answers in the result; see `Model.score`.
        errors: "column": the result has the errors of rows that can't be scored; "fail": the first one of a batch ends
            the run.

    Returns:
        A class, whose instances take batches in the formats "pyarrow" and "pandas".

    Raises:
        BundleError: the archive can't be read, or needs another version of fastmar; from `fastmar_runtime.errors`.
        TableUnreadable: the answers can't be columns of a table, or `path` is a folder; from `fastmar_contract.errors`.
        ModuleNotFoundError: Ray is not installed.
    """
    with extra("fastmar.ray", "ray-data"):
        from fastmar_bulk.portable import PortableScorer  # noqa: PLC0415
        from fastmar_bulk.ray_data import actor_class  # noqa: PLC0415
    return actor_class(PortableScorer.read(path, column=column, keep=keep, columns=columns, errors=errors))
