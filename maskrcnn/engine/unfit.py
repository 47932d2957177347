"""What Lightning finds unfit in a configuration once a run is under way."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.utilities.exceptions import MisconfigurationException

# How errors of Lightning begin that are not of its own kind, and what they are about.
ABOUT = {"Early stopping conditioned on metric": "callbacks", "You set `--ntasks=": "Slurm"}


@contextmanager
def explained() -> Iterator[None]:
    """Within it, such a thing ends in one sentence.

    Raises:
        ValueError: Lightning refuses a value or Slurm's environment, or a callback watches what is not logged.
    """
    try:
        yield
    except MisconfigurationException as error:  # such as no GPU on this machine
        raise ValueError(f"trainer: {error}") from error
    except RuntimeError as error:
        about = next((name for begin, name in ABOUT.items() if str(error).startswith(begin)), None)
        if about is None:
            raise
        raise ValueError(f"{about}: {error}") from error
