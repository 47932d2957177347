"""What Lightning finds unfit in a configuration once a run is under way."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.utilities.exceptions import MisconfigurationException

EARLY_STOPPING = "Early stopping conditioned on metric"


@contextmanager
def explained() -> Iterator[None]:
    """Within it, such a thing ends in one sentence.

    Raises:
        ValueError: Lightning refuses a value, or a callback watches what is not logged.
    """
    try:
        yield
    except MisconfigurationException as error:  # such as no GPU on this machine
        raise ValueError(f"trainer: {error}") from error
    except RuntimeError as error:
        if not str(error).startswith(EARLY_STOPPING):
            raise
        raise ValueError(f"callbacks: {error}") from error
