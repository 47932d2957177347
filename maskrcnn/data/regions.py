"""Instance masks as one picture of ids: pixels of the same masks have the same id.

So a warp costs the same for any number of masks. Only warps that move whole pixels (nearest neighbour) may be applied.
"""

from typing import NamedTuple

import cv2
import numpy as np

from maskrcnn.data.line import cumulate, fill
from maskrcnn.data.rle import Stretches, find_stretches

DEPTH = 20  # bits for the number of masks that share a pixel


class Regions(NamedTuple):
    """Masks [n, height, width] in one picture."""

    image: np.ndarray  # [height, width] uint8, or uint16 if there are more than 255 ids; 0 is the ground
    number: int  # n
    ids: np.ndarray  # [k] int64, ascending: ids that pixels of masks may have, at least one of each mask
    masks: np.ndarray  # [k] int64: of which mask those pixels are, position in the list of masks


def select_masks(regions: Regions, masks: np.ndarray) -> Regions:
    """Some of the masks [m] int64, ascending positions."""
    position = np.full(regions.number, -1)
    position[masks] = np.arange(len(masks))
    new = position[regions.masks]
    return regions._replace(number=len(masks), ids=regions.ids[new >= 0], masks=new[new >= 0])


def paint_masks(masks: list[bytes], height: int, width: int) -> Regions:
    """Gives an id to the pixels of each mask that are in no other, and one to each set of masks that share pixels.

    Args:
        masks: compressed run lengths of COCO.
        height, width: of the picture.

    Raises:
        ValueError: 2**16 ids do not suffice.
    """
    count = len(masks)
    ends, values, members = _split(find_stretches(masks), count)
    own = np.arange(count)
    pairs = members.ravel().nonzero()[0]  # a tenth of the time that it takes in two dimensions
    ids, of_mask = np.concatenate((own + 1, count + 1 + pairs // count)), np.concatenate((own, pairs % count))
    largest = int(ids.max(initial=0))
    if largest >= 2**16:
        raise ValueError(f"a picture's {count} masks overlap in {largest - count} ways, more than fit: remove some")
    line = fill(ends, values.astype(np.uint8 if largest < 256 else np.uint16), height * width)
    return Regions(cv2.transpose(line.reshape(width, height)), count, ids, of_mask)


def _split(stretches: Stretches, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts the line of all columns where a mask begins or ends, so that the pixels of a part are of the same masks.

    Args:
        stretches: which may share pixels; count: how many masks there are.

    Returns:
        Where parts begin, [n] int64, ascending; the id of each, [n] int64; and which masks share the pixels of id
        `count` + 1 + s, [sets, count] bool.
    """
    mask, start, end = stretches
    number = len(mask)
    bits = (2 * number).bit_length()
    keys = np.concatenate((start, end)) << bits | np.arange(2 * number)
    keys.sort()  # a quarter of the time of np.argsort
    places, order = keys >> bits, keys & (1 << bits) - 1
    # How many masks a part has beside the sum of their ids; where there is one mask, that is its own.
    ids = (mask + 1 << DEPTH) + 1
    sums = cumulate(np.concatenate((ids, -ids))[order])
    depth, values = sums & (1 << DEPTH) - 1, sums >> DEPTH
    shared = ((depth[:-1] > 1) & (places[1:] > places[:-1])).nonzero()[0]
    if not shared.size:
        return places, values, np.zeros((0, count), bool)
    # What begins and ends alone changes no set; of many masks this is true for most.
    alone = (depth[:-1] == 1) & (depth[1:] == 0)
    alone[1:] &= depth[:-2] == 0
    rest = np.ones(len(depth), bool)
    rest[:-1] ^= alone
    rest[1:] ^= alone
    some = rest.nonzero()[0]
    sets, members = _number_sets(mask[order[some] % number], some.searchsorted(shared), count)
    values[shared] = count + 1 + sets
    return places, values, members


def _number_sets(mask: np.ndarray, shared: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the sets of masks that share pixels.

    Args:
        mask: [m] int64, which mask begins or ends at each place; shared: [s] int64, places that several masks follow.
        count: how many masks there are.

    Returns:
        The number [s] int64 of the set at each of these places, and the members [sets, count] bool of each set.
    """
    own = np.arange(count)
    bits = np.zeros((-(-count // 64), count), np.uint64)
    bits[own // 64, own] = np.uint64(1) << (own % 64).astype(np.uint64)
    sets = np.bitwise_xor.accumulate(bits[:, mask], axis=1)[:, shared]  # each changes where a mask begins or ends
    order = np.lexsort(sets)  # a twentieth of the time of np.unique over rows
    sets = sets.T[order]
    new = np.ones(shared.size, bool)
    new[1:] = (sets[1:] != sets[:-1]).any(axis=1)
    number = np.empty(shared.size, np.int64)
    number[order] = new.cumsum() - 1
    bytes_ = sets[new].astype("<u8").view(np.uint8)
    return number, np.unpackbits(bytes_, axis=1, count=count, bitorder="little").astype(bool)
