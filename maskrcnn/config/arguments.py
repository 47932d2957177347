"""A command line as Hydra can read it."""

import re

from hydra._internal.utils import get_args_parser

CHUNKS = re.compile(r"[^\[\]{},:]+")  # texts within lists and mappings


def readable(override: str) -> str:
    """An override with quotes around texts that hold letters beyond ASCII, which Hydra's grammar reads only so.

    Where there are quotes already, an interpolation or a backslash, it stays as it is.
    """
    key, _, value = override.partition("=")
    if value.isascii() or not set("'\"$\\").isdisjoint(value):
        return override
    if value.startswith(("[", "{")):
        return f"{key}={CHUNKS.sub(lambda found: _quoted(found[0]), value)}"
    return f"{key}={','.join(map(_quoted, value.split(',')))}"


def _quoted(text: str) -> str:
    bare = text.strip(" ")
    return text if bare.isascii() else text.replace(bare, f'"{bare}"')


def tidy(arguments: list[str]) -> list[str]:
    """Options after overrides, which argparse takes in one row only, and overrides made readable."""
    parsed, rest = get_args_parser().parse_known_args(arguments)
    overrides = {*parsed.overrides, *(one for one in rest if not one.startswith("-"))}
    options = [one for one in arguments if one not in overrides]
    return [readable(one) for one in arguments if one in overrides] + options
