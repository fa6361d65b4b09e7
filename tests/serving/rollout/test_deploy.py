"""Deployments step by step, against a fake TorchServe: what happens when, and that a failure leaves nothing behind."""

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
from fastmar_serving.rollout import errors, loading, switching
from fastmar_serving.rollout.deploy import Deployed, Wanted, deploy
from fastmar_serving.rollout.server import LOCK
from fastmar_serving.rollout.unloading import unload_named
from fastmar_serving.torchserve.archives import find_archives
from fastmar_serving.torchserve.audit import FILE as AUDIT
from fastmar_serving.torchserve.defaults import FILE, Default, read_defaults


def run(torchserve: FakeTorchServe, archive: Path, **wanted: Any) -> Deployed:
    deployed = Deployed()
    deploy(torchserve.serve(), Wanted(archive, **wanted), deployed, lambda _: None)
    return deployed


def files(store: Path) -> list[str]:
    """Files of a store but for the audit log, which failed deployments are in too."""
    found = [str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()]
    return sorted(name for name in found if name != AUDIT)


def defaults(store: Path) -> Any:
    return json.loads((store / FILE).read_text())


class TestSuccess:
    def test_the_new_version_is_loaded_proved_compared_and_only_then_the_default(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        deployed = run(torchserve, second)
        assert torchserve.calls == ["register tiny-2.0.mar", "set_default 2.0"]
        assert torchserve.defaults == {"tiny": "2.0"}
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        assert defaults(torchserve.store) == {"tiny": {"default": "2.0", "before": ["1.0"]}}
        assert (torchserve.store / "tiny-2.0.mar").read_bytes() == second.read_bytes()
        assert (deployed.before, deployed.default, deployed.golden, deployed.golden_difference) == ("1.0", True, 4, 0)
        assert deployed.shadow is not None
        assert (deployed.shadow.answers, deployed.shadow.changed, deployed.shadow.same) == (4, 4, 0)

    def test_the_first_version_of_a_model_has_nothing_to_be_compared_with(
        self, torchserve: FakeTorchServe, tmp_path: Path
    ) -> None:
        deployed = run(torchserve, tiny_archive(tmp_path, name="other"), default=False)
        assert deployed.before is None
        assert deployed.shadow is None
        assert deployed.default  # TorchServe knows no model without one
        assert read_defaults(torchserve.store) == {"other": Default("1.0")}

    def test_it_gets_as_many_workers_as_the_version_that_it_relieves(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        torchserve.begin_scaling("tiny", "1.0", 3)
        assert run(torchserve, second).workers == 3
        assert "scale 2.0 3" in torchserve.calls

    def test_requests_of_a_file_are_asked_of_both(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        records, _ = golden(second)
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records * 10)))
        deployed = run(torchserve, second, requests=[str(tmp_path / "rows.jsonl")], sample=15)
        assert deployed.shadow is not None
        assert deployed.shadow.answers == 15
        assert deployed.shadow.source.endswith("rows.jsonl")

    def test_without_default_a_restart_begins_with_the_old_version_and_the_same_command_switches(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        assert not run(torchserve, second, default=False).default
        assert torchserve.defaults == {"tiny": "1.0"}
        assert defaults(torchserve.store) == {"tiny": {"default": "1.0", "before": []}}
        torchserve.calls.clear()
        deployed = run(torchserve, second)
        assert torchserve.calls == ["set_default 2.0"]
        assert deployed.golden == 4
        assert deployed.shadow is not None
        assert read_defaults(torchserve.store) == {"tiny": Default("2.0", ("1.0",))}

    def test_what_is_remembered_of_other_models_stays(self, torchserve: FakeTorchServe, second: Path) -> None:
        (torchserve.store / FILE).write_text('{"other": {"default": "7", "before": ["6"]}, "tiny": 3}')
        run(torchserve, second)
        assert read_defaults(torchserve.store) == {"other": Default("7", ("6",)), "tiny": Default("2.0", ("1.0",))}

    def test_an_archive_in_the_store_is_not_copied(self, torchserve: FakeTorchServe) -> None:
        path = tiny_archive(torchserve.store, "2.0", file="another name.mar")
        run(torchserve, path)
        assert torchserve.calls[0] == "register another name.mar"
        assert files(torchserve.store) == ["another name.mar", FILE, "tiny-1.0.mar"]

    def test_names_that_need_quoting(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        path = renamed(tiny_archive(tmp_path), "my odd, model=é", "2 beta")
        run(torchserve, path)
        assert torchserve.defaults["my odd, model=é"] == "2 beta"
        [file] = [name for name in files(torchserve.store) if name.startswith("my odd")]
        assert file.isascii()
        assert not set(file) & set(",=")


class TestFailure:
    """The old version answers on, and the server, its store and its memory are what they were."""

    @pytest.fixture(autouse=True)
    def unchanged(self, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(loading, "POLL", 0.001)
        yield
        assert torchserve.defaults == {"tiny": "1.0"}
        assert set(torchserve.models["tiny"]) == {"1.0"}
        assert files(torchserve.store) == ["tiny-1.0.mar"]
        assert "set_default 2.0" not in torchserve.calls

    def test_a_golden_record_that_is_answered_otherwise(self, torchserve: FakeTorchServe, second: Path) -> None:
        _, answers = golden(second)
        torchserve.answers["2.0"] = lambda _: answers[0]
        with pytest.raises(errors.GoldenDiffers, match=r"tiny 2\.0 answers golden record 1 with"):
            run(torchserve, second)

    def test_a_golden_record_that_is_refused(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.answers["2.0"] = lambda _: RecordRefused("no such column", fix="-")
        with pytest.raises(errors.GoldenDiffers, match="no such column"):
            run(torchserve, second)

    def test_a_worker_that_dies(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.fails["2.0"] = "dies"
        with pytest.raises(errors.VersionFailed, match=r"a worker of tiny 2\.0 died while it loaded"):
            run(torchserve, second)

    def test_a_worker_that_died_with_words(self, torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
        torchserve.fails["2.0"] = "dies"
        words = {"9000": {"model": "tiny", "reason": "no graph", "fix": "export it."}}
        (tmp_path / "failures.json").write_text(json.dumps(words))
        with pytest.raises(errors.VersionFailed, match=r"does not load: no graph\n  Fix: export it\. Or run"):
            deploy(torchserve.serve(tmp_path), Wanted(second), Deployed(), lambda _: None)

    def test_a_worker_that_takes_too_long(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.fails["2.0"] = "hangs"
        with pytest.raises(errors.VersionFailed, match=r"0 of 1 workers ready after 0\.05 s"):
            run(torchserve, second, timeout=0.05)

    def test_too_many_changed_predictions(self, torchserve: FakeTorchServe, second: Path) -> None:
        deployed = Deployed()
        with pytest.raises(errors.AnswersChanged, match=r"100\.0% of the predictions change from 1\.0 to 2\.0"):
            deploy(torchserve.serve(), Wanted(second, max_changed=0.99), deployed, lambda _: None)
        assert deployed.shadow is not None
        assert deployed.shadow.changed == 4
        assert not deployed.default

    def test_a_limit_where_both_versions_refuse_everything(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "rows.jsonl").write_text('{"colour": "red"}\n{"colour": "blue"}\n')
        refuse = lambda _: RecordRefused("no such column", fix="-")  # noqa: E731
        torchserve.models["tiny"]["1.0"].answer = refuse
        answers = dict(zip(map(json.dumps, golden(second)[0]), golden(second)[1], strict=True))
        torchserve.answers["2.0"] = lambda record: answers.get(json.dumps(record)) or refuse(record)
        deployed = Deployed()
        wanted = Wanted(second, requests=[str(tmp_path / "rows.jsonl")], max_changed=1.0)
        with pytest.raises(errors.NothingCompared, match=r"tiny 1\.0 answers each of the 2 requests with an error"):
            deploy(torchserve.serve(), wanted, deployed, lambda _: None)
        assert deployed.shadow is not None
        assert (deployed.shadow.answers, deployed.shadow.predicted) == (2, 0)

    def test_a_limit_where_no_row_can_be_sent(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "rows.csv").write_text("age,workclass\n1\n2\n")
        with pytest.raises(errors.NothingCompared, match=r"\n  Fix: .*--requests"):
            run(torchserve, second, requests=[str(tmp_path / "rows.csv")], max_changed=1.0)
        assert "rows.csv: 2 rows can't be read and are left out" in capsys.readouterr().err

    def test_a_limit_where_the_old_version_has_no_worker(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.models["tiny"]["1.0"].workers = {"9000": ("UNLOADING", 1)}
        with pytest.raises(errors.NothingCompared, match=r"tiny 1\.0 has no worker that answers"):
            run(torchserve, second, max_changed=1.0)

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

        def interrupted(*words: Any) -> None:
            done(*words)
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

    def test_a_server_that_goes_away_while_it_is_asked(self, torchserve: FakeTorchServe, second: Path) -> None:
        torchserve.answers["2.0"] = lambda _: ServerUnreachable("connection refused", fix="-")
        with pytest.raises(ServerUnreachable):
            run(torchserve, second)

    def test_a_version_that_dies_before_the_switch(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        answers = dict(zip(map(json.dumps, golden(second)[0]), golden(second)[1], strict=True))

        def last_words(record: Any) -> Any:
            torchserve.models["tiny"]["2.0"].workers = {"9000": ("UNLOADING", 1)}
            return answers[json.dumps(record)]

        torchserve.answers["2.0"] = last_words
        with pytest.raises(errors.VersionFailed, match="no worker"):
            run(torchserve, second)

    def test_requests_that_cannot_be_read_are_refused_before_anything_is_done(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        with pytest.raises(Exception, match=r"missing\.csv can't be read"):
            run(torchserve, second, requests=["missing.csv"])
        assert torchserve.calls == []

    @pytest.mark.parametrize("missing", [{"golden__answers": []}, {"golden__answers": "{"}, {"spec": []}])
    def test_an_archive_that_proves_nothing(self, torchserve: FakeTorchServe, second: Path, missing: Any) -> None:
        with pytest.raises(errors.NothingToProve, match="no golden records"):
            run(torchserve, changed(second, **missing))
        assert torchserve.calls == []

    def test_a_version_that_is_served(self, torchserve: FakeTorchServe, tmp_path: Path) -> None:
        with pytest.raises(errors.VersionTaken, match=r"is the default\.\n  Fix: .*--version"):
            run(torchserve, tiny_archive(tmp_path, "1.0"))

    def test_the_store_holds_another_archive_of_that_version(self, torchserve: FakeTorchServe, second: Path) -> None:
        other = tiny_archive(torchserve.store, "2.0")
        with pytest.raises(errors.StoreRefused, match="not the same archive"):
            run(torchserve, second)
        other.unlink()

    def test_somebody_else_registers_the_same_version_first(self, torchserve: FakeTorchServe, second: Path) -> None:
        def race(call: str) -> None:
            if call.startswith("register"):
                torchserve.before = lambda _: None
                torchserve.register("tiny-2.0.mar")

        torchserve.before = race
        with pytest.raises(errors.VersionFailed, match="already registered"):
            run(torchserve, second)
        assert "unregister 2.0" not in torchserve.calls  # it is theirs
        torchserve.unregister("tiny", "2.0")

    def test_only_one_at_a_time(self, torchserve: FakeTorchServe, second: Path, tmp_path: Path) -> None:
        with (tmp_path / LOCK).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(errors.AnotherUnderWay):
                deploy(torchserve.serve(tmp_path), Wanted(second), Deployed(), lambda _: None)


class TestHalfway:
    """What can't be undone, or needs not be."""

    def test_a_version_that_was_there_before_stays_when_it_fails(
        self, torchserve: FakeTorchServe, second: Path
    ) -> None:
        run(torchserve, second, default=False)
        torchserve.models["tiny"]["2.0"] = replace(torchserve.models["tiny"]["2.0"], answer=lambda _: {"prediction": 1})
        with pytest.raises(errors.GoldenDiffers):
            run(torchserve, second)
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        assert (torchserve.store / "tiny-2.0.mar").exists()
        assert torchserve.defaults == {"tiny": "1.0"}

    def test_a_file_that_was_there_before_stays_and_is_warned_of(
        self, torchserve: FakeTorchServe, capsys: pytest.CaptureFixture[str]
    ) -> None:
        there = tiny_archive(torchserve.store, "2.0")
        torchserve.answers["2.0"] = lambda _: {"prediction": "nonsense"}
        with pytest.raises(errors.GoldenDiffers):
            run(torchserve, there)
        assert there.exists()
        assert "lies in the model store: a server that is started loads it" in capsys.readouterr().err

    def test_a_version_loaded_from_another_archive_is_taken(self, torchserve: FakeTorchServe, second: Path) -> None:
        run(torchserve, second, default=False)
        changed(second, more={})
        with pytest.raises(errors.VersionTaken, match="from another archive"):
            run(torchserve, second)

    def test_a_switch_whose_answer_is_lost_is_a_switch(
        self, torchserve: FakeTorchServe, second: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = torchserve.set_default

        def lost(name: str, version: str) -> None:
            done(name, version)
            raise errors.ManagementFailed("timed out", fix="-")

        monkeypatch.setattr(torchserve, "set_default", lost)
        assert run(torchserve, second).default
        assert read_defaults(torchserve.store)["tiny"] == Default("2.0", ("1.0",))

    def test_a_version_that_cannot_be_unregistered_keeps_its_file(
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
        assert "could not be unregistered" in capsys.readouterr().err

    def test_a_store_that_cannot_be_written_to(
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
        with pytest.raises(errors.StoreRefused, match=r"Read-only file system\.\n  Fix: make the model store writable"):
            run(torchserve, second)
        assert run(torchserve, there).default
        assert "may not begin with tiny 3.0" in capsys.readouterr().err

    def test_an_old_version_without_workers_is_not_asked(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torchserve.models["tiny"]["1.0"].workers = {"9000": ("UNLOADING", 1)}
        deployed = run(torchserve, second)
        assert deployed.shadow is None
        assert deployed.default
        assert "nothing to compare with" in capsys.readouterr().err

    def test_an_old_file_that_was_written_over_is_told(
        self, torchserve: FakeTorchServe, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tiny_archive(torchserve.store, "2.0", file="tiny-1.0.mar")
        assert run(torchserve, path).default
        assert "does not hold tiny 1.0 any more" in capsys.readouterr().err


class TestKeep:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fastmar_serving.rollout.unloading.IDLE_FOR", 0.02)
        monkeypatch.setattr("fastmar_serving.rollout.unloading.GIVES_UP", 0.1)
        monkeypatch.setattr("fastmar_serving.rollout.unloading.POLL", 0.005)

    def test_versions_older_than_the_last_are_unloaded_and_set_aside(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path
    ) -> None:
        run(torchserve, second, keep=2)
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        deployed = run(torchserve, tiny_archive(tmp_path, "3.0"), keep=2)
        assert deployed.unloaded == ["1.0"]
        assert set(torchserve.models["tiny"]) == {"2.0", "3.0"}
        assert files(torchserve.store) == [FILE, "tiny-2.0.mar", "tiny-3.0.mar", "unloaded/tiny-1.0.mar"]

    def test_one_that_is_still_asked_stays(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torchserve.models["tiny"]["1.0"].queue = 1
        assert run(torchserve, second, keep=1).unloaded == []
        assert set(torchserve.models["tiny"]) == {"1.0", "2.0"}
        assert "is still asked" in capsys.readouterr().err

    @pytest.mark.parametrize("canary", [True, False])
    def test_neither_the_default_nor_the_new_version_is_among_them(
        self, torchserve: FakeTorchServe, second: Path, tmp_path: Path, canary: bool
    ) -> None:
        run(torchserve, second, default=not canary)
        default = torchserve.defaults["tiny"]
        deployed = run(torchserve, tiny_archive(tmp_path, "1.5"), keep=2, default=False)
        assert deployed.unloaded == ["2.0" if canary else "1.0"]  # an older canary counts as any version does
        assert set(torchserve.models["tiny"]) == {default, "1.5"}
        assert torchserve.defaults["tiny"] == default

    def test_one_alone_cannot_be_kept_beside_the_default(
        self, torchserve: FakeTorchServe, second: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["deploy", str(second), "--keep", "1", "--no-default"])
        assert "give --keep 2" in capsys.readouterr().err
        assert run(torchserve, second, keep=1, default=False).unloaded == []

    @pytest.mark.parametrize("keep", [True, False])
    def test_a_file_that_holds_another_version_now_stays(
        self, torchserve: FakeTorchServe, keep: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tiny_archive(torchserve.store, "2.0", file="tiny-1.0.mar")  # exported over the one that is served
        if keep:
            assert run(torchserve, path, keep=1).unloaded == ["1.0"]
        else:
            run(torchserve, path)
            unload_named(torchserve.serve(), "tiny", "1.0", print)
        assert set(torchserve.models["tiny"]) == {"2.0"}
        assert [found.version for found in find_archives(torchserve.store, [])] == ["2.0"]  # what the next start loads
        assert "tiny-1.0.mar does not hold tiny 1.0 and stays in the model store" in capsys.readouterr().err

    def test_by_name(self, torchserve: FakeTorchServe, second: Path) -> None:
        run(torchserve, second)
        server = torchserve.serve()
        with pytest.raises(errors.StillNeeded, match=r"tiny 2\.0 is the default"):
            unload_named(server, "tiny", "2.0", print)
        with pytest.raises(errors.NoVersion, match=r"tiny 3\.0 is not loaded"):
            unload_named(server, "tiny", "3.0", print)
        torchserve.models["tiny"]["1.0"].queue = 1
        with pytest.raises(errors.StillNeeded, match="could not be unloaded"):
            unload_named(server, "tiny", "1.0", print)
        torchserve.models["tiny"]["1.0"].queue = 0
        unload_named(server, "tiny", "1.0", print)
        assert set(torchserve.models["tiny"]) == {"2.0"}
