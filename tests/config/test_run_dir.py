"""Folders of runs: each start has its own, and one that fails leaves nothing of its own and all of others."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from maskrcnn.config import run_dir
from maskrcnn.config.launcher import RUN_NAME
from maskrcnn.config.run_dir import LOCK, alone, check_resume, claimed, remove_start
from maskrcnn.run_files import receipt_file


def test_starts_of_the_same_second_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "now")
    with claimed():
        (Path("runs", "now") / "used").touch()
        for expected in ("now_2", "now_2"):  # the folder that was not used is free again
            with claimed():
                assert os.environ[RUN_NAME] == expected
                assert sorted(path.name for path in Path("runs").iterdir()) == ["now", "now_2"]
    assert RUN_NAME not in os.environ
    assert [path.name for path in Path("runs").iterdir()] == ["now"]


def test_a_start_that_can_have_no_folder_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    with claimed():
        assert RUN_NAME not in os.environ
    assert Path("runs").is_file()


def hold(folder: Path, held: object, done: object) -> None:
    with alone(folder):
        held.set()  # type: ignore[attr-defined]
        done.wait()  # type: ignore[attr-defined]


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, held, done))
    process.start()
    held.wait(60)
    monkeypatch.setattr(run_dir, "PATIENCE", 0.1)
    message = "another process trains in .*: wait for its end, or give another run_dir"
    with pytest.raises(ValueError, match=message), alone(tmp_path):
        pass
    (tmp_path / "config.yaml").touch()
    remove_start(tmp_path, 0.0, False)  # as of a start that was refused
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "config.yaml"]
    done.set()
    process.join()
    with alone(tmp_path):
        pass


@pytest.mark.parametrize("answer", [NotImplementedError("no flock"), OSError(37, "No locks available")])
def test_a_file_system_without_locks_does_without(
    answer: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock, **options: object) -> None:
        raise answer

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with alone(tmp_path):
        (tmp_path / "trained").touch()
    assert (tmp_path / "trained").exists()


@pytest.mark.parametrize("there", [True, False])
def test_what_a_failed_start_wrote_is_removed(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / ".hydra").mkdir(parents=True)
    for name in (".hydra/config.yaml", "config.yaml", "receipt.json", "start_1.diff", LOCK):
        (folder / name).write_text("")
    remove_start(folder, time.time() - 60, there)
    assert folder.exists() == there
    assert not there or list(folder.iterdir()) == []


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    for name in ("config.yaml", "out.log"):
        (tmp_path / name).write_text("mine")
    remove_start(tmp_path, time.time() - 60, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "out.log"]
    (tmp_path / "out.log").unlink()
    remove_start(tmp_path, time.time() + 60, True)  # the file is of an earlier start
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    link = tmp_path.with_name("link")
    link.symlink_to(tmp_path)
    remove_start(link, time.time() - 60, True)
    assert list(tmp_path.iterdir()) == [] and link.is_symlink()


@pytest.mark.parametrize("file", ["a/checkpoints/last.ckpt", "a/report.html"])
def test_a_file_of_a_run_is_answered_with_the_runs_folder(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    with pytest.raises(ValueError, match=f" is a file; name the folder of the run: resume={tmp_path}/a$"):
        check_resume(str(tmp_path / file))
    with pytest.raises(ValueError, match=f" is a file; name the folder of the run, such as {tmp_path}/a$"):
        receipt_file.read(tmp_path / file)
