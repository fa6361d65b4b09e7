"""Going back: to which version, and how it gets there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.archives import golden, tiny_archive
from tests.serving.rollout.fakes import FakeTorchServe

from fastmar_serving.rollout import errors, loading, switching
from fastmar_serving.rollout.deploy import Deployed, Wanted, deploy
from fastmar_serving.rollout.rollback import RolledBack, roll_back
from fastmar_serving.rollout.store import set_aside
from fastmar_serving.torchserve.defaults import Default, read_defaults


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "POLL", 0.001)


@pytest.fixture
def deployed(torchserve: FakeTorchServe, tmp_path: Path) -> FakeTorchServe:
    """1.0, then 2.0, then 3.0, which is the default."""
    for version in ("2.0", "3.0"):
        deploy(torchserve.serve(), Wanted(tiny_archive(tmp_path, version)), Deployed(), lambda _: None)
    torchserve.calls.clear()
    return torchserve


def back(torchserve: FakeTorchServe, to: str | None = None, **changes: Any) -> RolledBack:
    return roll_back(torchserve.serve(), changes.get("name", "tiny"), to, timeout=0.5, show=lambda _: None)


def test_back_and_back_again(deployed: FakeTorchServe) -> None:
    assert back(deployed) == RolledBack("tiny", "3.0", "2.0", False)
    assert read_defaults(deployed.store) == {"tiny": Default("2.0", ("1.0",))}
    assert back(deployed).version == "1.0"
    assert deployed.defaults == {"tiny": "1.0"}
    assert deployed.calls == ["set_default 2.0", "set_default 1.0"]
    with pytest.raises(errors.NoVersion, match=r"no version is remembered .*\n  Fix: .* --to` one of: 3.0, 2.0"):
        back(deployed)


def test_to_a_version_behind_and_before(deployed: FakeTorchServe) -> None:
    assert back(deployed, "1.0").before == "3.0"
    assert read_defaults(deployed.store) == {"tiny": Default("1.0")}
    assert back(deployed, "3.0").version == "3.0"


def test_the_only_other_one_where_nothing_is_remembered(torchserve: FakeTorchServe) -> None:
    tiny_archive(torchserve.store, "2.0")
    torchserve.register("tiny-2.0.mar")
    assert back(torchserve).version == "2.0"
    with pytest.raises(errors.NoVersion, match=r"--to` one of: 1\.0"):  # not forward again to what was just left
        back(torchserve)
    assert torchserve.defaults == {"tiny": "2.0"}


@pytest.mark.parametrize("aside", [False, True])
def test_a_version_that_is_not_loaded_is_loaded_again_and_proved(deployed: FakeTorchServe, aside: bool) -> None:
    deployed.unregister("tiny", "2.0")
    if aside:
        set_aside(deployed.store / "tiny-2.0.mar")
    deployed.calls.clear()
    assert back(deployed).loaded
    assert deployed.calls == ["register tiny-2.0.mar", "set_default 2.0"]
    assert (deployed.store / "tiny-2.0.mar").exists()


def test_a_version_that_is_gone_is_passed_over(deployed: FakeTorchServe) -> None:
    deployed.unregister("tiny", "2.0")
    (deployed.store / "tiny-2.0.mar").unlink()
    assert back(deployed).version == "1.0"


@pytest.mark.parametrize("fault", ["dies", "hangs", "answers otherwise"])
def test_a_version_that_does_not_come_up_again_changes_nothing(deployed: FakeTorchServe, fault: str) -> None:
    deployed.unregister("tiny", "2.0")
    aside = set_aside(deployed.store / "tiny-2.0.mar")
    if fault == "answers otherwise":
        deployed.answers["2.0"] = lambda _: golden(deployed.store / "tiny-3.0.mar")[1][0]
    else:
        deployed.fails["2.0"] = fault
    with pytest.raises((errors.VersionFailed, errors.GoldenDiffers)):
        back(deployed)
    assert deployed.defaults == {"tiny": "3.0"}
    assert set(deployed.models["tiny"]) == {"1.0", "3.0"}
    assert aside.exists()  # or it would keep the server from starting
    assert not (deployed.store / "tiny-2.0.mar").exists()


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("moment", ["set_default", "write_defaults"])
def test_ctrl_c_just_after_the_switch_changes_nothing(
    deployed: FakeTorchServe, moment: str, is_loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_loaded:
        deployed.unregister("tiny", "2.0")
        set_aside(deployed.store / "tiny-2.0.mar")
    before = set(deployed.models["tiny"]), read_defaults(deployed.store), sorted(deployed.store.rglob("*.mar"))
    owner: Any = deployed if moment == "set_default" else switching
    done = getattr(owner, moment)

    def interrupted(*words: Any) -> None:
        done(*words)
        if deployed.defaults["tiny"] == "2.0":
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, moment, interrupted)
    with pytest.raises(KeyboardInterrupt):
        back(deployed)
    assert deployed.defaults == {"tiny": "3.0"}
    assert before == (
        set(deployed.models["tiny"]),
        read_defaults(deployed.store),
        sorted(deployed.store.rglob("*.mar")),
    )


def test_a_loaded_version_whose_workers_are_dead_is_refused(deployed: FakeTorchServe) -> None:
    deployed.models["tiny"]["2.0"].workers = {"9000": ("UNLOADING", 1)}
    with pytest.raises(errors.VersionFailed, match=r"none of its workers answers: tiny 3\.0 stays the default"):
        back(deployed)
    assert deployed.calls == []


@pytest.mark.parametrize(
    ("name", "to", "says"),
    [
        ("tiny", "3.0", r"tiny 3\.0 is the default already"),
        ("tiny", "9.0", r"tiny 9\.0 is not loaded, and not in .*\n  Fix: .* one of: 2\.0, 1\.0"),
        ("teeny", None, r"no model teeny\.\n  Fix: name one of: tiny"),
    ],
)
def test_what_is_not_there_is_said(deployed: FakeTorchServe, name: str, to: str | None, says: str) -> None:
    with pytest.raises(errors.NoVersion, match=says):
        back(deployed, to, name=name)


def test_a_model_with_one_version(torchserve: FakeTorchServe) -> None:
    with pytest.raises(errors.NoVersion, match="no other version is loaded"):
        back(torchserve)
