"""What a sweep will choose from, checked before its first trial."""

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.config.complaint import complain
from maskrcnn.config.compose import to_plain
from maskrcnn.config.early import check_early
from maskrcnn.config.limits import check_limits

ROOT = "maskrcnn.engine.train.train"


def check_choices(overrides: list[str]) -> None:
    """Composes the first trial, and one for each other choice of each key, and checks what can be without torch.

    Args:
        overrides: of a sweep, such as "optimizer.lr=0.01,0.02" and "seed=range(0,3)", while Hydra runs.

    Raises:
        ValueError: a trial cannot be.
    """
    choices = [_choices(override) for override in overrides]
    first = [one[0] for one in choices]
    _check(first, first)
    for place, several in enumerate(choices):
        for choice in several[1:]:
            _check([*first[:place], choice, *first[place + 1 :]], [choice])


def _choices(override: str) -> list[str]:
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_discrete_sweep():
        return [override]
    return [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]


def _check(overrides: list[str], named: list[str]) -> None:
    try:
        plain = to_plain(hydra.compose("train", overrides))
        check_early(plain, ROOT)
        check_limits(plain)
    except (HydraException, OmegaConfBaseException) as error:
        GlobalHydra.instance().clear()  # what was meant is found by composing again
        raise ValueError(complain(error, "train", overrides)) from error
    except ValueError as error:
        raise ValueError(f"a trial with {' '.join(named)} cannot be: {error}") from error
