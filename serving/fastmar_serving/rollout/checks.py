"""What keeps a version from becoming the default although it loads: breaking changes, and new errors.

Each check may be waived by name with `fastmar deploy --accept`; the audit log records what was accepted.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_contract.members import SPEC, read_member
from fastmar_serving.notices import notice
from fastmar_serving.rollout.accepted import BREAKING_CHANGES, NEW_ERRORS
from fastmar_serving.rollout.errors import BreakingVersion, NewErrors
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.shadow import Shadow
from fastmar_serving.rollout.versions import Version
from fastmar_serving.torchserve.archives import UNREADABLE, Archive, identify

if TYPE_CHECKING:
    from fastmar_runtime.spec import Spec
    from fastmar_serving.rollout.changes import Change

LISTED = 5  # changes or kinds of errors in a message


def breaking_changes(server: Server, current: Version, archive: Archive) -> list[Change]:
    """What `fastmar diff` calls breaking between the default's archive and the new one.

    Where one of them can't be compared, the list is empty and standard error says why.
    """
    from fastmar_serving.rollout.changes import BREAKING, changes  # noqa: PLC0415 - imports the runtime

    file = server.store / current.file
    if identify(file) != (current.name, current.version):
        notice(f"the archive of {current.label} is not in {server.store}: breaking changes can't be looked for.")
        return []
    try:
        return [change for change in changes(_spec(file), _spec(archive.path)) if change.level == BREAKING]
    except UNREADABLE as error:
        notice(f"{current.label} and {archive.label} can't be compared for breaking changes: {error}")
    return []


def refuse_breaking(current: Version, archive: Archive, found: Sequence[Change], accepted: Collection[str]) -> None:
    """Refuse breaking changes that were not accepted.

    Raises:
        BreakingVersion: there are some; it names the first.
    """
    if not found or BREAKING_CHANGES in accepted:
        return
    listed = "; ".join(f"{change.where}: {change.what} ({change.caller})" for change in found[:LISTED])
    more = f"; and {len(found) - LISTED} more" if len(found) > LISTED else ""
    raise BreakingVersion(
        f"{archive.label} breaks callers of {current.version}: {listed}{more}.",
        fix=f"`fastmar diff` lists all changes; `--no-default` loads it for comparison only; once callers are ready, "
        f"give --accept {BREAKING_CHANGES}.",
    )


def refuse_new_errors(shadow: Shadow | None, accepted: Collection[str]) -> None:
    """Refuse a version that answers with an error what the default answers.

    Raises:
        NewErrors: it does, and that was not accepted; it counts them by code.
    """
    if shadow is None or not shadow.broken or NEW_ERRORS in accepted:
        return
    codes = ", ".join(f"{code}: {count}" for code, count in shadow.new_error_codes.most_common(LISTED))
    raise NewErrors(
        f"{shadow.broken} of the {shadow.predicted} records that {shadow.old} answers are errors in {shadow.new} "
        f"({codes}).",
        fix=f"see the errors above; where callers no longer send such records, give --accept {NEW_ERRORS}.",
    )


def _spec(archive: Path) -> Spec:
    from fastmar_runtime.errors import BundleError  # noqa: PLC0415
    from fastmar_runtime.spec import from_dict  # noqa: PLC0415

    with zipfile.ZipFile(archive) as file:
        content = json.loads(read_member(file, SPEC))
    try:
        return from_dict(content)
    except BundleError as error:  # written by a fastmar that is newer than this one
        raise ValueError(str(error).splitlines()[0]) from error
