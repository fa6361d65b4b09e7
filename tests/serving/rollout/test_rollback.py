"""Rollbacks: which version is chosen, how it is loaded, and what a failure leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.archives import golden, tiny_archive
from tests.serving.rollout.fakes import FakeTorchServe

from fastmar_serving.defaults import Default, read_defaults
from fastmar_serving.rollout import errors, loading, switching
from fastmar_serving.rollout.deploy import DeployOptions, DeployResult, deploy
from fastmar_serving.rollout.rollback import RollbackResult, roll_back
from fastmar_serving.rollout.store import move_to_unloaded


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "POLL", 0.001)


@pytest.fixture
def three_versions(torchserve: FakeTorchServe, tmp_path: Path) -> FakeTorchServe:
    """A server with versions 1.0, 2.0 and 3.0, which is the default."""
    for version in ("2.0", "3.0"):
        deploy(torchserve.serve(), DeployOptions(tiny_archive(tmp_path, version)), DeployResult(), lambda _: None)
    torchserve.calls.clear()
    return torchserve


def back(torchserve: FakeTorchServe, to: str | None = None, **changes: Any) -> RollbackResult:
    return roll_back(torchserve.serve(), changes.get("name", "tiny"), to, timeout=0.5, show=lambda _: None)


def test_rolls_back_to_each_previous_version(three_versions: FakeTorchServe) -> None:
    assert back(three_versions) == RollbackResult("tiny", "3.0", "2.0", False)
    assert read_defaults(three_versions.store) == {"tiny": Default("2.0", ("1.0",))}
    assert back(three_versions).version == "1.0"
    assert three_versions.defaults == {"tiny": "1.0"}
    assert three_versions.calls == ["set_default 2.0", "set_default 1.0"]
    with pytest.raises(errors.NoVersion) as caught:
        back(three_versions)
    assert caught.value.code == "no_previous_version"
    assert "--to" in caught.value.fix
    assert "3.0, 2.0" in caught.value.fix


def test_rolls_back_to_a_named_version_older_or_newer(three_versions: FakeTorchServe) -> None:
    assert back(three_versions, "1.0").before == "3.0"
    assert read_defaults(three_versions.store) == {"tiny": Default("1.0", ("2.0", "3.0"))}
    assert back(three_versions, "3.0").version == "3.0"


def test_a_rollback_after_one_to_a_named_version_returns(three_versions: FakeTorchServe) -> None:
    back(three_versions, "1.0")
    assert back(three_versions) == RollbackResult("tiny", "1.0", "3.0", False)
    assert back(three_versions).version == "2.0"


def test_a_rollback_returns_also_without_a_saved_history(torchserve: FakeTorchServe, tmp_path: Path) -> None:
    tiny_archive(torchserve.store, "2.0")
    torchserve.register("tiny-2.0.mar")
    back(torchserve, "2.0")
    assert back(torchserve).version == "1.0"


def test_takes_the_only_other_version_without_a_saved_history(torchserve: FakeTorchServe) -> None:
    tiny_archive(torchserve.store, "2.0")
    torchserve.register("tiny-2.0.mar")
    assert back(torchserve).version == "2.0"
    with pytest.raises(errors.NoVersion) as caught:  # does not return to the version that was just left
        back(torchserve)
    assert caught.value.code == "no_previous_version"
    assert "1.0" in caught.value.fix
    assert torchserve.defaults == {"tiny": "2.0"}


@pytest.mark.parametrize("aside", [False, True])
def test_loads_the_previous_version_again_if_it_was_unloaded(three_versions: FakeTorchServe, aside: bool) -> None:
    three_versions.unregister("tiny", "2.0")
    if aside:
        move_to_unloaded(three_versions.store / "tiny-2.0.mar")
    three_versions.calls.clear()
    assert back(three_versions).loaded
    assert three_versions.calls == ["register tiny-2.0.mar", "set_default 2.0"]
    assert (three_versions.store / "tiny-2.0.mar").exists()


def test_skips_a_version_whose_archive_is_gone(three_versions: FakeTorchServe) -> None:
    three_versions.unregister("tiny", "2.0")
    (three_versions.store / "tiny-2.0.mar").unlink()
    assert back(three_versions).version == "1.0"


@pytest.mark.parametrize("fault", ["dies", "hangs", "other answers"])
def test_a_failure_to_load_changes_nothing(three_versions: FakeTorchServe, fault: str) -> None:
    three_versions.unregister("tiny", "2.0")
    aside = move_to_unloaded(three_versions.store / "tiny-2.0.mar")
    if fault == "other answers":
        three_versions.answers["2.0"] = lambda _: golden(three_versions.store / "tiny-3.0.mar")[1][0]
    else:
        three_versions.fails["2.0"] = fault
    with pytest.raises((errors.VersionFailed, errors.GoldenDiffers)):
        back(three_versions)
    assert three_versions.defaults == {"tiny": "3.0"}
    assert set(three_versions.models["tiny"]) == {"1.0", "3.0"}
    assert aside.exists()  # in the store it would be loaded at the next start
    assert not (three_versions.store / "tiny-2.0.mar").exists()


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("moment", ["set_default", "write_defaults"])
def test_ctrl_c_just_after_the_switch_changes_nothing(
    three_versions: FakeTorchServe, moment: str, is_loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_loaded:
        three_versions.unregister("tiny", "2.0")
        move_to_unloaded(three_versions.store / "tiny-2.0.mar")
    before = (
        set(three_versions.models["tiny"]),
        read_defaults(three_versions.store),
        sorted(three_versions.store.rglob("*.mar")),
    )
    owner: Any = three_versions if moment == "set_default" else switching
    done = getattr(owner, moment)

    def interrupted(*arguments: Any) -> None:
        done(*arguments)
        if three_versions.defaults["tiny"] == "2.0":
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, moment, interrupted)
    with pytest.raises(KeyboardInterrupt):
        back(three_versions)
    assert three_versions.defaults == {"tiny": "3.0"}
    assert before == (
        set(three_versions.models["tiny"]),
        read_defaults(three_versions.store),
        sorted(three_versions.store.rglob("*.mar")),
    )


def test_refuses_a_loaded_version_without_ready_workers(three_versions: FakeTorchServe) -> None:
    three_versions.models["tiny"]["2.0"].workers = {"9000": ("UNLOADING", 1)}
    with pytest.raises(errors.VersionFailed) as caught:
        back(three_versions)
    assert caught.value.code == "no_ready_worker"
    assert three_versions.calls == []


@pytest.mark.parametrize(
    ("name", "to", "code", "suggestion"),
    [
        ("tiny", "3.0", "version_is_default", "2.0, 1.0"),
        ("tiny", "9.0", "no_version", "2.0, 1.0"),
        ("teeny", None, "no_model", "tiny"),
    ],
)
def test_refuses_the_default_and_unknown_names(
    three_versions: FakeTorchServe, name: str, to: str | None, code: str, suggestion: str
) -> None:
    with pytest.raises(errors.NoVersion) as caught:
        back(three_versions, to, name=name)
    assert caught.value.code == code
    assert suggestion in caught.value.fix


def test_refuses_a_model_with_one_version(torchserve: FakeTorchServe) -> None:
    with pytest.raises(errors.NoVersion) as caught:
        back(torchserve)
    assert caught.value.code == "no_other_version"
