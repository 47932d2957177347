"""What was meant by a name that is not there."""

import difflib
from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence with the nearest valid names, or all of them where none is near and they are few."""
    known = sorted({name for name in known if not name.startswith("_")})
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6) or [name for name in known if word.lower() == name]
    if not near and len(word) > 1:
        near = [name for name in known if _abbreviates(word, name)][:3]
    if near:
        return did_you_mean(near)
    return f"Known: {', '.join(known)}." if known and len(known) <= 20 else ""


def _abbreviates(word: str, name: str) -> bool:
    """Whether a name has a word's characters in their order, as resnet50 those of r50."""
    rest = iter(name)
    return all(character in rest for character in word)


def suggest_key(key: str, known: Iterable[str]) -> str:
    """A sentence with the keys of a configuration that a mistyped or misplaced one may stand for.

    First the keys that end like it, then its near siblings, then keys elsewhere with the same or a near last name.

    Args:
        key: names joined by dots, or by _ instead; known: all valid ones.
    """
    key = key.lower()
    known = sorted({one for one in known if not _last(one).startswith("_")})
    if key in known:
        return did_you_mean([key])
    parent, _, name = key.rpartition(".")
    longer = [one for one in known if one.endswith(f".{key}")]
    longer = longer or sorted((one for one in known if f"_{one}".replace(".", "_").endswith(f"_{key}")), key=len)
    if longer:
        return did_you_mean(longer[:4])
    siblings = [_last(one) for one in known if one.rpartition(".")[0] == parent]
    if parent and (close := difflib.get_close_matches(name, siblings)):
        return did_you_mean([f"{parent}.{one}" for one in close])
    names = sorted({_last(one) for one in known})
    near = [name] if name in names else _near(name, names)
    if parent and siblings and name not in names and (said := suggest(name, siblings)):
        return said
    if not parent:
        found = [one for word in near for one in known if _last(one) == word]
        return did_you_mean([one for one in found if "." not in one] or found[:4])
    likeness = {one: difflib.SequenceMatcher(None, key, one).ratio() for one in known if _last(one) in near}
    least = max(0.6, 0.85 * max(likeness.values(), default=0))  # of keys with the same name, those with a like parent
    return did_you_mean(sorted((one for one in likeness if likeness[one] >= least), key=lambda one: -likeness[one])[:3])


def _near(name: str, names: list[str]) -> list[str]:
    """The names that another ends with, as num_workers with workers; else the one that shares a word with it and looks
    like it; else those that look much like it.
    """
    ending = [one for one in names if name.endswith(f"_{one}")]
    sharing = [one for one in names if set(name.split("_")) & set(one.split("_"))]
    return ending or difflib.get_close_matches(name, sharing, n=1) or difflib.get_close_matches(name, names, cutoff=0.7)


def did_you_mean(names: list[str]) -> str:
    """The names as a question; nothing where there are none."""
    return f"Did you mean {' or '.join(names)}?" if names else ""


def _last(key: str) -> str:
    return key.rpartition(".")[2]
