"""Errors of a deployment, a rollback or an unload.

FastmarError
└── LifecycleError            the models of the running server stay as they are
    ├── ServerNotFound        no running server, or its model store is unknown
    ├── ManagementFailed      the management API does not answer, or refuses a request
    ├── ServerLocked          another command is changing the models of the same server
    ├── VersionTaken          the server has loaded that version already
    ├── StoreRefused          the archive can't be copied to the model store
    ├── GoldenRecordsMissing  the archive has no golden records
    ├── VersionFailed         the workers of the version don't load it
    ├── GoldenDiffers         a golden record has another answer over HTTP
    ├── BreakingVersion       callers of the default version would be refused or misled
    ├── NewErrors             the new version refuses records that the default answers
    ├── NothingCompared       --requests or --max-changed is given and no prediction could be compared
    ├── AnswersChanged        more predictions change than --max-changed allows
    ├── NoVersion             the version, or a previous version, does not exist
    └── VersionInUse          a version that can't be unloaded: it is the default, or receives requests
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class LifecycleError(FastmarError):
    """The models of the running server stay as they are."""

    code = "lifecycle_error"


class ServerNotFound(LifecycleError):
    """No server of this user is known at the address, or its model store is not on this machine."""

    code = "server_not_found"


class ManagementFailed(LifecycleError):
    """The management API can't be reached, or refused a request."""

    code = "management_failed"


class ServerLocked(LifecycleError):
    """Another deployment or rollback is changing the same server."""

    code = "another_under_way"


class VersionTaken(LifecycleError):
    """The server has loaded a version with this name and number."""

    code = "version_taken"


class StoreRefused(LifecycleError):
    """The archive can't be copied or moved to the model store."""

    code = "store_refused"


class GoldenRecordsMissing(LifecycleError):
    """The archive has no golden records, so its answers can't be checked."""

    code = "nothing_to_prove"


class VersionFailed(LifecycleError):
    """The workers of the version failed, or were not ready in time."""

    code = "version_failed"


class GoldenDiffers(LifecycleError):
    """The loaded version does not reproduce the answers that its export recorded."""

    code = "golden_differs"


class BreakingVersion(LifecycleError):
    """The new version has breaking changes, and they were not accepted."""

    code = "breaking_changes"


class NewErrors(LifecycleError):
    """The new version refuses records that the default version answers, and this was not accepted."""

    code = "new_errors"


class NothingCompared(LifecycleError):
    """The caller gives requests or limits the share of changed predictions, and there is no prediction to compare."""

    code = "nothing_compared"


class AnswersChanged(LifecycleError):
    """More predictions change than the caller allows."""

    code = "answers_changed"


class NoVersion(LifecycleError):
    """The model has no such version, or no previous version."""

    code = "no_version"


class VersionInUse(LifecycleError):
    """The version can't be unloaded: it is the default, or receives requests."""

    code = "still_needed"
