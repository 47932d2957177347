"""What launchers tell the processes of a run by their environment: torchrun, srun, and Lightning's own."""

import os

# Each counts from 0: torchrun's and Slurm's over all machines, the others within one machine or over machines.
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK")
RUN_NAME = "MASKRCNN_RUN_NAME"  # of a run of one process, and of those that Lightning starts


def is_main() -> bool:
    """Whether this process is the one of its run that prints and writes files. Known before torch is loaded."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def launched() -> bool:
    """Whether a launcher has started this process as one of several."""
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return True
    # sbatch sets SLURM_PROCID for one task too.
    return not is_main() or any(name in os.environ for name in RANKS if name != "SLURM_PROCID")


def rank_name() -> str:
    """This process among those of its run, for messages."""
    name = next((name for name in RANKS if name in os.environ), "RANK")
    return f"rank {os.environ.get(name, '0')}"


def run_name(now: str) -> str:
    """Name of a run's folder, the same in all of its processes, which start at different times.

    Args:
        now: the time, for a run of one process, or whose further processes Lightning starts, that has no name yet.

    Raises:
        ValueError: torchrun gave the run no id.
    """
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:  # a requeued job keeps its number, and so its folder
        return f"job_{os.environ['SLURM_JOB_ID']}_{os.environ['SLURM_STEP_ID']}"
    run_id = os.environ.get("TORCHELASTIC_RUN_ID")
    if run_id == "none":
        raise ValueError(
            "torchrun gave the run no id to name its folder by: add --standalone or --rdzv-id=..., or give run_dir=..."
        )
    return os.environ.get(RUN_NAME, now) if run_id is None else run_id
