import pytest

from maskrcnn.config.launcher import RANKS, is_main, launched, rank_name, run_name


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*RANKS, "TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_ID", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "main", "name"),
    [
        ({}, True, "rank 0"),
        ({"LOCAL_RANK": "1"}, False, "rank 1"),
        ({"RANK": "8", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False, "rank 8"),  # torchrun, the second machine
        ({"SLURM_PROCID": "3"}, False, "rank 3"),
        ({"SLURM_PROCID": "0"}, True, "rank 0"),
    ],
)
def test_one_process_is_the_main_one(
    environment: dict[str, str], main: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert (is_main(), rank_name()) == (main, name)


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, False),  # of a job of one task, such as an array's
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}, True),
        ({"TORCHELASTIC_RUN_ID": "abc", "RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, True),  # that Lightning started
    ],
)
def test_one_of_several_processes_is_known(
    environment: dict[str, str], several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*RANKS, "SLURM_STEP_NUM_TASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched() == several


def test_runs_are_named_by_their_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_name("now") == "now"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "abc")
    assert run_name("now") == "abc"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(ValueError, match="add --standalone or --rdzv-id=..., or give run_dir=..."):
        run_name("now")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert run_name("now") == "job_77_0"
