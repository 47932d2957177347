"""Splits pictures into parts that are alike: each class is spread evenly, and groups stay together."""

import re
from collections.abc import Sequence

import numpy as np

from maskrcnn.data.census import Census
from maskrcnn.data.few import few


def find_groups(names: Sequence[str], pattern: re.Pattern[str]) -> np.ndarray:
    """The group of each picture, [n] int64: those for whose names a pattern captures the same text are one.

    Args:
        names: file names of the pictures; pattern: with at least one group, searched for anywhere in the name.

    Raises:
        ValueError: it does not match a name.
    """
    found = [pattern.search(name) for name in names]
    without = [name for name, match in zip(names, found, strict=True) if match is None]
    if without:
        raise ValueError(
            f"data.fold_group={pattern.pattern} does not match {len(without)} of the {len(names)} pictures: "
            f"{few(without, 5)}. Let it match all, if need be with |(.*) at its end, which leaves each of the others "
            "for itself"
        )
    numbers: dict[tuple[str | None, ...], int] = {}
    return np.array([numbers.setdefault(match.groups(), len(numbers)) for match in found if match], np.int64)


def stratify(census: Census, groups: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Deals groups of pictures to parts, so that objects of each class, pictures without objects and pictures are
    spread by the parts' shares.

    Greedy, as iterative stratification (Sechidis et al. 2011, On the stratification of multi-label data): groups with
    the rarest class go first, those with most of it before others, in a random order otherwise. Each goes to the part
    that it fills least: where the sum of squares of what is there, in shares of what is wanted, grows least,
    among those that do not yet have their number of pictures.

    Args:
        census: of the pictures; groups: [n] int64, 0..G-1.
        shares: of the parts, positive, of sum 1.
        seed: from 0 on.

    Returns:
        [n] int64, the part of each picture.
    """
    # Columns that are counted: each class, then pictures without objects, then pictures.
    empty = np.flatnonzero(census.counts == 0)
    classes = int(census.labels.max(initial=-1)) + 1
    columns = np.concatenate([census.labels, np.full(len(empty), classes), np.full(len(groups), classes + 1)])
    members = np.concatenate([groups[census.pictures()], groups[empty], groups])
    totals = np.bincount(columns, minlength=classes + 2)
    keys, numbers = np.unique(members * len(totals) + columns, return_counts=True)
    columns = keys % len(totals)
    starts = np.flatnonzero(np.diff(keys // len(totals), prepend=-1))  # of each group
    rarity = np.argsort(np.argsort(totals, kind="stable"), kind="stable")
    rarity[-1] = len(totals)  # every group has pictures: not what makes one rare
    rarest = np.minimum.reduceat(rarity[columns], starts)
    most = numbers[rarity[columns] == np.repeat(rarest, np.diff(starts, append=len(keys)))]
    chance = np.random.default_rng([seed, 0]).permutation(len(starts))
    weights = np.asarray(shares)
    # What a group would add to a part, in shares of what is wanted there, and what the parts hold in the same measure.
    added = (numbers / totals[columns])[:, None] / weights
    filled = np.zeros((len(totals), len(weights)))
    parts = np.zeros(len(starts), np.int64)
    ends = np.append(starts[1:], len(keys))
    room = np.floor(weights * len(groups) + 1e-9)  # 0.29 * 100 is less than 29
    for group in np.lexsort((chance, -most, rarest)):
        window = slice(starts[group], ends[group])
        new, held = added[window], columns[window]
        # Weighted by the parts' shares: without, the least sum of squares would give a small part less than its share.
        growth = (new * (2 * filled[held] + new)).sum(axis=0) * weights
        part = np.argmin(np.where((room > 0) | (room <= 0).all(), growth, np.inf))
        filled[held, part] += new[:, part]
        room[part] -= numbers[ends[group] - 1]  # the last column, of pictures
        parts[group] = part
    return parts[groups]
