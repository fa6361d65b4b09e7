"""Scores datasets of Ray Data, on one machine or on a cluster."""

from __future__ import annotations

from typing import Any

import ray

from fastmar_bulk.portable import PortableScorer


def actor_class(scorer: PortableScorer) -> type:
    """A class for `Dataset.map_batches`. Its instances, one per actor, score batches of rows.

    The class is defined here, so that it is pickled with `scorer`: Ray Data puts both into the object store once.
    """

    class Scorer:
        """Scores batches of rows.

        Attributes:
            workers: number of threads: as many as the actor has CPUs.
        """

        def __init__(self) -> None:
            self.workers = max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))
            self._score = scorer.open(self.workers)

        def __call__(self, batch: Any) -> Any:
            if isinstance(batch, dict):
                raise TypeError('the batch is in the format "numpy". Fix: map_batches(..., batch_format="pyarrow").')
            return self._score(batch)

    return Scorer
