"""What keeps a version from being deployed, or a model from being rolled back.

FastmarError
└── LifecycleError            anything that keeps a running server's models as they are
    ├── ServerNotFound            no server to talk to, or no model store known
    ├── ManagementFailed          the server's management API does not answer, or refuses
    ├── AnotherUnderWay           somebody else changes the same server's models
    ├── VersionTaken              that version is served already
    ├── StoreRefused              the archive can't be put into, or found in, the model store
    ├── NothingToProve            an archive without golden records
    ├── VersionFailed             the version's workers don't load it
    ├── GoldenDiffers             over HTTP the golden records are answered otherwise
    ├── BreakingVersion           requests that the default answers are refused, or answers mean something else
    ├── NewErrors                 records that the default answers are errors in the new version
    ├── NothingCompared           a limit of changes, and no prediction that it could be held against
    ├── AnswersChanged            more predictions change than allowed
    ├── NoVersion                 no version to go back to, or not the one that was named
    └── StillNeeded               a version that can't be ended: it is the default, or is asked all the time
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class LifecycleError(FastmarError):
    """The server's models stay as they are."""

    code = "lifecycle_error"


class ServerNotFound(LifecycleError):
    """No server is known at the address, or not where its archives lie."""

    code = "server_not_found"


class ManagementFailed(LifecycleError):
    """The management API can't be reached, or refused what it was asked."""

    code = "management_failed"


class AnotherUnderWay(LifecycleError):
    """Another deployment or rollback works on the same server."""

    code = "another_under_way"


class VersionTaken(LifecycleError):
    """The server has a version of that name and number."""

    code = "version_taken"


class StoreRefused(LifecycleError):
    """The model store can't take the archive, or doesn't hold it."""

    code = "store_refused"


class NothingToProve(LifecycleError):
    """The archive holds no golden records, so nothing shows that it answers as it should."""

    code = "nothing_to_prove"


class VersionFailed(LifecycleError):
    """The version's workers are not ready: they failed, or took too long."""

    code = "version_failed"


class GoldenDiffers(LifecycleError):
    """The served version does not reproduce the answers recorded at its export."""

    code = "golden_differs"


class BreakingVersion(LifecycleError):
    """The new version makes changes that break callers of the default, and nobody accepted them."""

    code = "breaking_changes"


class NewErrors(LifecycleError):
    """The new version answers records with errors that the default answers, and nobody accepted that."""

    code = "new_errors"


class NothingCompared(LifecycleError):
    """The caller limits how many predictions may change, and the version that answers now made none."""

    code = "nothing_compared"


class AnswersChanged(LifecycleError):
    """Against the version that answers now, more predictions change than the caller allows."""

    code = "answers_changed"


class NoVersion(LifecycleError):
    """There is no version to make the default, or no such one."""

    code = "no_version"


class StillNeeded(LifecycleError):
    """A version that is to be ended answers by default, or is asked all the time."""

    code = "still_needed"
