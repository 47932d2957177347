"""Text of others' files as a terminal may get it."""

import re

# Of Unicode's classes Cc and Cs: a terminal obeys the first ones, and no encoding has the others. Lines and tabs stay.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text with control characters as Python writes them, such as \x1b: names in a file could otherwise colour,
    move or rename the terminal that they are shown in.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
