"""Values of different parts of a configuration that must fit together: checked before data is read."""

from typing import Any


def check_channels(config: dict[str, Any]) -> None:
    """Makes sure that the model normalises as many channels as pictures have, before any is read.

    Args:
        config: the resolved configuration.

    Raises:
        ValueError: it does not; the message says what to set.
    """
    channels = config["data"]["channels"]
    if min(config["model"]["pixel_std"], default=1) <= 0:
        raise ValueError(f"model.pixel_std is {config['model']['pixel_std']}; every channel needs a value above 0")
    for name in ("pixel_mean", "pixel_std"):
        values = config["model"][name]
        if len(values) != channels:
            raise ValueError(
                f"model.{name} has {len(values)} values, but data.channels is {channels}: give model.pixel_mean and "
                f"model.pixel_std {channels} each, of the training pictures' channels in 0..255, such as "
                f"model.{name}=[{','.join(['127.5'] * channels)}]; or change data.channels"
            )
