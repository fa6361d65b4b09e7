"""Deployments against a fake TorchServe: the order of the steps, and that a failed deployment changes nothing."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.archives import changed, golden, renamed, tiny_archive
from tests.serving.rollout.fakes import FakeTorchServe

from fastmar_cli.main import main
from fastmar_client import RecordRefused, ServerUnreachable
from fastmar_contract.files import InputUnreadable
from fastmar_serving.archives import find_archives
from fastmar_serving.audit import FILE as AUDIT
from fastmar_serving.defaults import FILE, Default, read_defaults
from fastmar_serving.errors import ArchiveRefused
from fastmar_serving.rollout import errors, loading, switching
from fastmar_serving.rollout.deploy import DeployOptions, DeployResult, deploy
from fastmar_serving.rollout.server import LOCK
from fastmar_serving.rollout.unloading import unload_model, unload_named
from fastmar_serving.run_directory import RunDirectory


def run(torchserve: FakeTorchServe, archive: Path, **options: Any) -> DeployResult:
    result = DeployResult()
    deploy(torchserve.serve(), DeployOptions(archive, **options), result, lambda _: None)
    return result


def files(store: Path) -> list[str]:
    """Files of a store except the audit log, which also records failed deployments."""
    found = [str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()]
    return sorted(name for name in found if name != AUDIT)


def defaults(store: Path) -> Any:
    return json.loads((store / FILE).read_text())


class TestSuccess:
    def test_new_version_becomes_the_default_after_all_checks(self, torchserve: FakeTorchServe, second: Path) -> None:
        result = run(torchserve, second)
        assert torchserve.calls == ["register tiny-2.0.mar", "set_default 2.0"]
        assert torchserve.defaults == {"tiny": "2.0"}
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        assert defaults(torchserve.store) == {"tiny": {"default": "2.0", "before": ["1.0"]}}
        assert (torchserve.store / "tiny-2.0.mar").read_bytes() == second.read_bytes()
        assert (result.before, result.default, result.golden, result.golden_difference) == ("1.0", True, 4, 0)
        assert result.shadow is not None
        assert (result.shadow.answers, result.shadow.changed, result.shadow.same) == (4, 4, 0)

    def test_first_version_of_a_model_is_not_compared(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        result = run(torchserve, tiny_archive(tmp_path, name="other"), default=False)
        assert result.before is None
        assert result.shadow is None
        assert result.default  # in TorchServe each model has a default
        assert read_defaults(torchserve.store) == {"other": Default("1.0")}

    def test_gets_as_many_workers_as_the_old_version(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.begin_scaling("tiny", "1.0", 3)
        assert run(torchserve, second).workers == 3
        assert "scale 2.0 3" in torchserve.calls

    def test_compares_requests_of_a_file(self, torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
        records, _ = golden(second)
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records * 10)))
        result = run(torchserve, second, requests=[str(tmp_path / "rows.jsonl")], sample=15)
        assert result.shadow is not None
        assert result.shadow.answers == 15
        assert result.shadow.source.endswith("rows.jsonl")

    def test_no_default_keeps_the_old_version_until_the_command_runs_without_it(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        assert not run(torchserve, second, default=False).default
        assert torchserve.defaults == {"tiny": "1.0"}
        assert defaults(torchserve.store) == {"tiny": {"default": "1.0", "before": []}}
        torchserve.calls.clear()
        result = run(torchserve, second)
        assert torchserve.calls == ["set_default 2.0"]
        assert result.golden == 4
        assert result.shadow is not None
        assert read_defaults(torchserve.store) == {"tiny": Default("2.0", ("1.0",))}

    def test_saved_defaults_of_other_models_stay(self, torchserve: FakeTorchServe, second: Path) -> None:
        (torchserve.store / FILE).write_text('{"other": {"default": "7", "before": ["6"]}, "tiny": 3}')
        run(torchserve, second)
        assert read_defaults(torchserve.store) == {"other": Default("7", ("6",)), "tiny": Default("2.0", ("1.0",))}

    def test_an_archive_in_the_store_is_not_copied(self, torchserve: FakeTorchServe) -> None:
        path = tiny_archive(torchserve.store, "2.0", file="another name.mar")
        run(torchserve, path)
        assert torchserve.calls[0] == "register another name.mar"
        assert files(torchserve.store) == ["another name.mar", FILE, "tiny-1.0.mar"]

    def test_names_with_special_characters(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        path = renamed(tiny_archive(tmp_path), "my odd, model=é", "2 beta")
        run(torchserve, path)
        assert torchserve.defaults["my odd, model=é"] == "2 beta"
        [file] = [name for name in files(torchserve.store) if name.startswith("my odd")]
        assert file.isascii()
        assert not set(file) & set(",=")


class TestFailure:
    """The old version stays the default, and the server, its store and the saved defaults are unchanged."""

    @pytest.fixture(autouse=True)
    def unchanged(self, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(loading, "POLL", 0.001)
        yield
        assert torchserve.defaults == {"tiny": "1.0"}
        assert set(torchserve.models["tiny"]) == {"1.0"}
        assert files(torchserve.store) == ["tiny-1.0.mar"]
        assert "set_default 2.0" not in torchserve.calls

    def test_golden_record_has_another_answer(self, torchserve: FakeTorchServe, second: Path) -> None:
        _, answers = golden(second)
        torchserve.answers["2.0"] = lambda _: answers[0]
        with pytest.raises(errors.GoldenDiffers) as caught:
            run(torchserve, second)
        assert "golden record 1" in caught.value.message

    def test_golden_record_is_refused(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.answers["2.0"] = lambda _: RecordRefused("no such column", fix="-")
        with pytest.raises(errors.GoldenDiffers) as caught:
            run(torchserve, second)
        assert "no such column" in caught.value.message

    def test_worker_dies(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.fails["2.0"] = "dies"
        with pytest.raises(errors.VersionFailed) as caught:
            run(torchserve, second)
        assert caught.value.code == "worker_died"

    def test_worker_dies_and_the_launcher_recorded_why(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        torchserve.fails["2.0"] = "dies"
        failures = {"9000": {"model": "tiny", "reason": "no graph", "fix": "export it."}}
        (tmp_path / "failures.json").write_text(json.dumps(failures))
        with pytest.raises(errors.VersionFailed) as caught:
            deploy(torchserve.serve(tmp_path), DeployOptions(second), DeployResult(), lambda _: None)
        assert caught.value.code == "load_failed"
        assert "no graph" in caught.value.message
        assert "export it." in caught.value.fix

    def test_worker_takes_too_long(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.fails["2.0"] = "hangs"
        with pytest.raises(errors.VersionFailed) as caught:
            run(torchserve, second, timeout=0.05)
        assert caught.value.code == "workers_not_ready"
        assert "0 of 1" in caught.value.message

    def test_too_many_changed_predictions(self, torchserve: FakeTorchServe, second: Path) -> None:
        result = DeployResult()
        with pytest.raises(errors.AnswersChanged) as caught:
            deploy(torchserve.serve(), DeployOptions(second, max_changed=0.99), result, lambda _: None)
        assert "100.0%" in caught.value.message
        assert "--tolerance" not in caught.value.fix  # labels
        assert result.shadow is not None
        assert result.shadow.changed == 4
        assert not result.default

    def test_predicted_numbers_change_by_more_than_the_tolerance(
        self, torchserve: FakeTorchServe, second: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fastmar_serving.rollout.deploy.replay", lambda *_: 0.0)
        torchserve.models["tiny"]["1.0"].answer = lambda _: {"prediction": 100.0, "warnings": []}
        torchserve.answers["2.0"] = lambda _: {"prediction": 103.0, "warnings": []}
        with pytest.raises(errors.AnswersChanged) as caught:
            run(torchserve, second, max_changed=0.5)
        assert "--tolerance" in caught.value.fix
        assert run(torchserve, second, max_changed=0.5, tolerance=0.05, default=False).shadow.changed == 0
        torchserve.unregister("tiny", "2.0")
        for file in files(torchserve.store):
            if file != "tiny-1.0.mar":
                (torchserve.store / file).unlink()

    @pytest.mark.parametrize("max_changed", [None, 1.0])
    def test_requests_that_both_versions_refuse(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path, max_changed: float | None
    ) -> None:
        (tmp_path / "rows.jsonl").write_text('{"colour": "red"}\n{"colour": "blue"}\n')
        refuse = lambda _: RecordRefused("no such column", fix="-")  # noqa: E731
        torchserve.models["tiny"]["1.0"].answer = refuse
        answers = dict(zip(map(json.dumps, golden(second)[0]), golden(second)[1], strict=True))
        torchserve.answers["2.0"] = lambda record: answers.get(json.dumps(record)) or refuse(record)
        result = DeployResult()
        options = DeployOptions(second, requests=[str(tmp_path / "rows.jsonl")], max_changed=max_changed)
        with pytest.raises(errors.NothingCompared) as caught:
            deploy(torchserve.serve(), options, result, lambda _: None)
        assert caught.value.code == "no_predictions"
        assert result.shadow is not None
        assert (result.shadow.answers, result.shadow.predicted) == (2, 0)

    @pytest.mark.parametrize("max_changed", [None, 1.0])
    def test_requests_without_a_readable_row(
        self,
        torchserve: FakeTorchServe,
        second: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        max_changed: float | None,
    ) -> None:
        (tmp_path / "rows.csv").write_text("age,workclass\n1\n2\n")
        with pytest.raises(errors.NothingCompared) as caught:
            run(torchserve, second, requests=[str(tmp_path / "rows.csv")], max_changed=max_changed)
        assert caught.value.code == "no_requests"
        assert "--requests" in caught.value.fix
        assert "2 unreadable rows" in capsys.readouterr().err

    def test_max_changed_if_the_old_version_has_no_ready_worker(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.models["tiny"]["1.0"].workers = {"9000": ("UNLOADING", 1)}
        with pytest.raises(errors.NothingCompared) as caught:
            run(torchserve, second, max_changed=1.0)
        assert caught.value.code == "no_ready_worker"

    @pytest.mark.parametrize("when", ["register tiny-2.0.mar", "set_default 2.0"])
    def test_ctrl_c(self, torchserve: FakeTorchServe, second: Path, when: str) -> None:
        def interrupted(call: str) -> None:
            if call == when:
                raise KeyboardInterrupt

        torchserve.before = interrupted
        with pytest.raises(KeyboardInterrupt):
            run(torchserve, second)

    @pytest.mark.parametrize("is_loaded", [False, True])
    @pytest.mark.parametrize("moment", ["set_default", "write_defaults"])
    def test_ctrl_c_just_after_the_switch(
        self, torchserve: FakeTorchServe, second: Path, moment: str, is_loaded: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if is_loaded:
            run(torchserve, second, default=False)
        owner: Any = torchserve if moment == "set_default" else switching
        done = getattr(owner, moment)

        def interrupted(*arguments: Any) -> None:
            done(*arguments)
            if torchserve.defaults["tiny"] == "2.0":
                raise KeyboardInterrupt

        monkeypatch.setattr(owner, moment, interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(torchserve, second)
        torchserve.calls.remove("set_default 2.0")
        if is_loaded:
            assert read_defaults(torchserve.store) == {"tiny": Default("1.0")}
            torchserve.unregister("tiny", "2.0")
            (torchserve.store / "tiny-2.0.mar").unlink()
            (torchserve.store / FILE).unlink()

    def test_server_becomes_unreachable(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.answers["2.0"] = lambda _: ServerUnreachable("connection refused", fix="-")
        with pytest.raises(ServerUnreachable):
            run(torchserve, second)

    def test_workers_die_before_the_switch(self, torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
        answers = dict(zip(map(json.dumps, golden(second)[0]), golden(second)[1], strict=True))

        def answer_and_die(record: Any) -> Any:
            torchserve.models["tiny"]["2.0"].workers = {"9000": ("UNLOADING", 1)}
            return answers[json.dumps(record)]

        torchserve.answers["2.0"] = answer_and_die
        with pytest.raises(errors.VersionFailed) as caught:
            run(torchserve, second)
        assert caught.value.code == "no_ready_worker"

    def test_refuses_unreadable_requests_before_loading(self, torchserve: FakeTorchServe, second: Path) -> None:
        with pytest.raises(InputUnreadable) as caught:
            run(torchserve, second, requests=["missing.csv"])
        assert "missing.csv" in caught.value.message
        assert torchserve.calls == []

    @pytest.mark.parametrize("missing", [{"golden__answers": []}, {"golden__answers": "{"}, {"spec": []}])
    def test_refuses_an_archive_without_golden_records(
        self, torchserve: FakeTorchServe, second: Path, missing: Any
    ) -> None:
        with pytest.raises(errors.GoldenRecordsMissing):
            run(torchserve, changed(second, **missing))
        assert torchserve.calls == []

    def test_refuses_half_an_archive_that_is_not_in_the_store(self, torchserve: FakeTorchServe, second: Path) -> None:
        half = second.with_name("half.mar")
        half.write_bytes(second.read_bytes()[: second.stat().st_size // 2])
        with pytest.raises(ArchiveRefused) as caught:
            run(torchserve, half)
        assert "model store" not in caught.value.fix
        (torchserve.store / "half.mar").write_bytes(half.read_bytes())
        with pytest.raises(ArchiveRefused) as caught:
            find_archives(torchserve.store, [])
        assert "model store" in caught.value.fix
        (torchserve.store / "half.mar").unlink()

    def test_refuses_a_version_that_is_the_default(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        with pytest.raises(errors.VersionTaken) as caught:
            run(torchserve, tiny_archive(tmp_path, "1.0"))
        assert caught.value.code == "version_is_default"
        assert "--version" in caught.value.fix
        assert "nothing is to be done" in caught.value.fix
        with pytest.raises(errors.VersionTaken) as caught:
            run(torchserve, tiny_archive(tmp_path, "1.0", flipped=True))
        assert caught.value.code == "version_is_default"
        assert "nothing is to be done" not in caught.value.fix

    def test_store_has_another_archive_of_the_version(self, torchserve: FakeTorchServe, second: Path) -> None:
        other = tiny_archive(torchserve.store, "2.0")
        with pytest.raises(errors.StoreRefused) as caught:
            run(torchserve, second)
        assert caught.value.code == "other_archive"
        other.unlink()

    def test_another_process_registers_the_same_version_first(self, torchserve: FakeTorchServe, second: Path) -> None:
        def race(call: str) -> None:
            if call.startswith("register"):
                torchserve.before = lambda _: None
                torchserve.register("tiny-2.0.mar")

        torchserve.before = race
        with pytest.raises(errors.VersionFailed) as caught:
            run(torchserve, second)
        assert caught.value.code == "registration_refused"
        assert "unregister 2.0" not in torchserve.calls  # the other process registered it
        torchserve.unregister("tiny", "2.0")

    def test_refuses_a_second_deployment_at_the_same_time(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        with (tmp_path / LOCK).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(errors.ServerLocked):
                deploy(torchserve.serve(tmp_path), DeployOptions(second), DeployResult(), lambda _: None)


class TestPartialUndo:
    """Failures after which something stays, and failures that do not stop the deployment."""

    def test_a_version_that_was_loaded_before_stays_loaded(self, torchserve: FakeTorchServe, second: Path) -> None:
        run(torchserve, second, default=False)
        torchserve.models["tiny"]["2.0"] = replace(torchserve.models["tiny"]["2.0"], answer=lambda _: {"prediction": 1})
        with pytest.raises(errors.GoldenDiffers):
            run(torchserve, second)
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        assert (torchserve.store / "tiny-2.0.mar").exists()
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_warns_of_an_archive_that_stays_in_the_store(
        self, torchserve: FakeTorchServe, capsys: pytest.CaptureFixture[str]
    ) -> None:
        there = tiny_archive(torchserve.store, "2.0")
        torchserve.answers["2.0"] = lambda _: {"prediction": "nonsense"}
        with pytest.raises(errors.GoldenDiffers):
            run(torchserve, there)
        assert there.exists()
        assert str(there) in capsys.readouterr().err

    def test_refuses_a_version_that_was_loaded_from_another_archive(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        run(torchserve, second, default=False)
        changed(second, more={})
        with pytest.raises(errors.VersionTaken) as caught:
            run(torchserve, second)
        assert caught.value.code == "version_taken"

    def test_switch_succeeds_if_only_the_response_is_lost(
        self, torchserve: FakeTorchServe, second: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = torchserve.set_default

        def lost(name: str, version: str) -> None:
            done(name, version)
            raise errors.ManagementFailed("timed out", fix="-")

        monkeypatch.setattr(torchserve, "set_default", lost)
        assert run(torchserve, second).default
        assert read_defaults(torchserve.store)["tiny"] == Default("2.0", ("1.0",))

    def test_archive_stays_if_the_version_cannot_be_unregistered(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def gone(call: str) -> None:
            if call.startswith("unregister"):
                raise errors.ManagementFailed("nobody answers", fix="-")

        torchserve.before = gone
        torchserve.answers["2.0"] = lambda _: {"prediction": "nonsense"}
        with pytest.raises(errors.GoldenDiffers):
            run(torchserve, second)
        assert (torchserve.store / "tiny-2.0.mar").exists()
        assert read_defaults(torchserve.store) == {"tiny": Default("1.0")}  # so that a restart begins with it
        assert "can't unregister tiny 2.0" in capsys.readouterr().err

    def test_another_process_replaces_the_old_version_before_the_switch(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        def replaced(call: str) -> None:
            if call == "set_default 2.0":
                torchserve.models["tiny"]["1.5"] = torchserve.models["tiny"].pop("1.0")
                torchserve.defaults["tiny"] = "1.5"
                raise KeyboardInterrupt

        torchserve.before = replaced
        with pytest.raises(KeyboardInterrupt):
            run(torchserve, second)
        assert set(torchserve.models["tiny"]) == {"1.5"}
        assert files(torchserve.store) == ["tiny-1.0.mar"]

    def test_another_process_unloads_the_old_version_after_the_switch(
        self, torchserve: FakeTorchServe, second: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = torchserve.set_default

        def interrupted(name: str, version: str) -> None:
            done(name, version)
            torchserve.models["tiny"].pop("1.0", None)
            raise KeyboardInterrupt

        monkeypatch.setattr(torchserve, "set_default", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(torchserve, second)
        assert set(torchserve.models["tiny"]) == {"2.0"}  # without it, the server would have no version
        assert (torchserve.store / "tiny-2.0.mar").exists()

    def test_store_is_read_only(
        self,
        torchserve: FakeTorchServe,
        second: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def read_only(*_: Any, **__: Any) -> Any:
            raise OSError(30, "Read-only file system")

        there = tiny_archive(torchserve.store, "3.0")
        monkeypatch.setattr("tempfile.mkstemp", read_only)
        with pytest.raises(errors.StoreRefused) as caught:
            run(torchserve, second)
        assert caught.value.code == "copy_failed"
        assert "Read-only file system" in caught.value.message
        assert run(torchserve, there).default
        warning = capsys.readouterr().err
        assert FILE in warning
        assert "tiny 3.0" in warning

    def test_skips_the_comparison_if_the_old_version_has_no_ready_worker(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torchserve.models["tiny"]["1.0"].workers = {"9000": ("UNLOADING", 1)}
        result = run(torchserve, second)
        assert result.shadow is None
        assert result.default
        assert "skipped the comparison" in capsys.readouterr().err

    def test_warns_if_the_old_archive_was_overwritten(
        self, torchserve: FakeTorchServe, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tiny_archive(torchserve.store, "2.0", file="tiny-1.0.mar")
        assert run(torchserve, path).default
        assert "no longer contains tiny 1.0" in capsys.readouterr().err


class TestKeep:
    @pytest.fixture(autouse=True)
    def short_intervals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fastmar_serving.rollout.unloading.IDLE_FOR", 0.02)
        monkeypatch.setattr("fastmar_serving.rollout.unloading.IDLE_TIMEOUT", 0.1)
        monkeypatch.setattr("fastmar_serving.rollout.unloading.POLL", 0.005)

    def test_unloads_older_versions_and_moves_their_archives(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        run(torchserve, second, keep=2)
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        result = run(torchserve, tiny_archive(tmp_path, "3.0"), keep=2)
        assert result.unloaded == ["1.0"]
        assert set(torchserve.models["tiny"]) == {"2.0", "3.0"}
        assert files(torchserve.store) == [FILE, "tiny-2.0.mar", "tiny-3.0.mar", "unloaded/tiny-1.0.mar"]

    def test_a_version_that_still_receives_requests_stays(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torchserve.models["tiny"]["1.0"].queue = 1
        assert run(torchserve, second, keep=1).unloaded == []
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        assert "tiny 1.0 stays loaded" in capsys.readouterr().err

    @pytest.mark.parametrize("canary", [True, False])
    def test_never_unloads_the_default_or_the_new_version(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path, canary: bool
    ) -> None:
        run(torchserve, second, default=not canary)
        default = torchserve.defaults["tiny"]
        result = run(torchserve, tiny_archive(tmp_path, "1.5"), keep=2, default=False)
        assert result.unloaded == ["2.0" if canary else "1.0"]  # an older canary counts as any version does
        assert set(torchserve.models["tiny"]) == {default, "1.5"}
        assert torchserve.defaults["tiny"] == default

    def test_keep_1_and_no_default_exclude_each_other(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["deploy", str(second), "--keep", "1", "--no-default"])
        assert caught.value.code == 2
        assert "--keep 2" in capsys.readouterr().err
        assert run(torchserve, second, keep=1, default=False).unloaded == []

    @pytest.mark.parametrize("keep", [True, False])
    def test_a_file_that_contains_another_version_now_stays(
        self, torchserve: FakeTorchServe, keep: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tiny_archive(torchserve.store, "2.0", file="tiny-1.0.mar")  # overwrites the archive of the default
        if keep:
            assert run(torchserve, path, keep=1).unloaded == ["1.0"]
        else:
            run(torchserve, path)
            unload_named(torchserve.serve(), "tiny", "1.0", print)
        assert set(torchserve.models["tiny"]) == {"2.0"}
        assert [found.version for found in find_archives(torchserve.store, [])] == ["2.0"]  # what the next start loads
        assert "tiny-1.0.mar stays in the model store" in capsys.readouterr().err

    def test_unload_named(self, torchserve: FakeTorchServe, second: Path) -> None:
        run(torchserve, second)
        server = torchserve.serve()
        with pytest.raises(errors.VersionInUse) as caught:
            unload_named(server, "tiny", "2.0", print)
        assert caught.value.code == "version_is_default"
        assert "`fastmar rollback tiny`" in caught.value.fix
        with pytest.raises(errors.NoVersion):
            unload_named(server, "tiny", "3.0", print)
        torchserve.models["tiny"]["1.0"].queue = 1
        with pytest.raises(errors.VersionInUse) as caught:
            unload_named(server, "tiny", "1.0", print)
        assert caught.value.code == "still_needed"
        torchserve.models["tiny"]["1.0"].queue = 0
        unload_named(server, "tiny", "1.0", print)
        assert set(torchserve.models["tiny"]) == {"2.0"}

    def test_unload_model(self, torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
        run(torchserve, second)
        run_dir = tmp_path / "run"
        run_dir.mkdir()
        server = torchserve.serve(run_dir)
        with pytest.raises(errors.NoVersion):
            unload_model(server, "other", print)
        torchserve.models["tiny"]["2.0"].queue = 1  # the default
        with pytest.raises(errors.VersionInUse) as caught:
            unload_model(server, "tiny", print)
        assert caught.value.code == "still_needed"
        assert not RunDirectory(run_dir).removals_file.exists()
        assert set(torchserve.models["tiny"]) == {"2.0"}
        torchserve.models["tiny"]["2.0"].queue = 0
        unload_model(server, "tiny", print)
        assert torchserve.models == {}
        assert RunDirectory(run_dir).removals_file.read_text() == '"tiny"\n'
        assert files(torchserve.store) == [FILE, "unloaded/tiny-1.0.mar", "unloaded/tiny-2.0.mar"]

    def test_unload_of_the_default_suggests_what_is_possible(self, torchserve: FakeTorchServe, second: Path) -> None:
        with pytest.raises(errors.VersionInUse) as caught:
            unload_named(torchserve.serve(), "tiny", "1.0", print)
        assert "rollback" not in caught.value.fix  # there is no other version
        run(torchserve, second, default=False)
        with pytest.raises(errors.VersionInUse) as caught:
            unload_named(torchserve.serve(), "tiny", "1.0", print)
        assert "rollback tiny --to" in caught.value.fix
        assert "2.0" in caught.value.fix
