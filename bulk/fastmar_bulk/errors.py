"""Errors of scoring on a cluster.

FastmarError
└── ClusterError              any error of this module
    ├── ClusterUnreachable    there is no cluster at the address
    ├── ClusterTooSmall       the cluster does not have enough CPUs
    └── ClusterFailed         the cluster ended the run
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class ClusterError(FastmarError):
    """A table can't be scored on a cluster."""

    code = "cluster_error"


class ClusterUnreachable(ClusterError):
    """There is no cluster at the address."""

    code = "cluster_unreachable"


class ClusterTooSmall(ClusterError):
    """The cluster does not have enough CPUs."""

    code = "cluster_too_small"


class ClusterFailed(ClusterError):
    """The cluster ended the run, for example because its nodes lack a package."""

    code = "cluster_failed"
