"""Checks before a loaded version becomes the default: no breaking changes, no new errors.

`fastmar deploy --accept NAME` waives a check; the audit log records it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_contract.members import SPEC, read_member
from fastmar_serving.archives import UNREADABLE, Archive, identify
from fastmar_serving.notices import notice
from fastmar_serving.rollout.check_names import BREAKING_CHANGES, NEW_ERRORS
from fastmar_serving.rollout.errors import BreakingVersion, NewErrors
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.shadow import Shadow
from fastmar_serving.rollout.versions import Version

if TYPE_CHECKING:
    from fastmar_runtime.spec import Spec
    from fastmar_serving.rollout.changes import Change

MAX_LISTED = 5  # changes or error codes in a message


def breaking_changes(server: Server, current: Version, archive: Archive) -> list[Change]:
    """The changes from the default version's archive to the new one that `fastmar diff` calls breaking.

    Empty, with a warning, if the archives can't be compared.
    """
    from fastmar_serving.rollout.changes import BREAKING, changes  # noqa: PLC0415 - imports the runtime

    file = server.store / current.file
    if identify(file) != (current.name, current.version):
        notice(f"the archive of {current.label} is not in {server.store}: skipped the check for breaking changes.")
        return []
    try:
        return [change for change in changes(_spec(file), _spec(archive.path)) if change.level == BREAKING]
    except UNREADABLE as error:
        notice(f"skipped the check for breaking changes between {current.label} and {archive.label}: {error}")
    return []


def refuse_breaking(current: Version, archive: Archive, found: Sequence[Change], accepted: Collection[str]) -> None:
    """Refuse breaking changes that were not accepted.

    Raises:
        BreakingVersion: there are breaking changes; the message names the first ones.
    """
    if not found or BREAKING_CHANGES in accepted:
        return
    listed = "; ".join(f"{change.where}: {change.what} ({change.caller})" for change in found[:MAX_LISTED])
    more = f"; and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    raise BreakingVersion(
        f"{archive.label} breaks callers of {current.version}: {listed}{more}.",
        fix=f"list all changes with `fastmar diff`; load the version for comparison only with `--no-default`; once "
        f"callers are ready, give --accept {BREAKING_CHANGES}.",
    )


def refuse_new_errors(shadow: Shadow | None, accepted: Collection[str]) -> None:
    """Refuse a version that returns errors for records that the default version answers.

    Raises:
        NewErrors: there are such records, and this was not accepted; the message counts them by code.
    """
    if shadow is None or not shadow.newly_failing or NEW_ERRORS in accepted:
        return
    codes = ", ".join(f"{code}: {count}" for code, count in shadow.new_error_codes.most_common(MAX_LISTED))
    raise NewErrors(
        f"{shadow.new} returns errors for {shadow.newly_failing} of the {shadow.predicted} records that {shadow.old} "
        f"answers ({codes}).",
        fix=f"read the errors above; if callers no longer send such records, give --accept {NEW_ERRORS}.",
    )


def _spec(archive: Path) -> Spec:
    from fastmar_runtime.errors import BundleError  # noqa: PLC0415
    from fastmar_runtime.spec import from_dict  # noqa: PLC0415

    with zipfile.ZipFile(archive) as file:
        content = json.loads(read_member(file, SPEC))
    try:
        return from_dict(content)
    except BundleError as error:  # such as a newer protocol
        raise ValueError(str(error).splitlines()[0]) from error
