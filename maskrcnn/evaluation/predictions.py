"""The results of all pictures of a data set."""

import pickle
from collections.abc import Iterator, Mapping

from maskrcnn.evaluation.results import Result


class Predictions(Mapping[int, list[Result]]):
    """Results by image id, those of each picture as bytes until they are asked for, and then made anew.

    As objects the results of 5,000 pictures with 100 detections each are 2 million containers, through which Python's
    garbage collector looked eight times while they came, up to 0.7 s long, in which no thread could do anything else.
    """

    def __init__(self, results: Mapping[int, list[Result]] | None = None) -> None:
        self._bytes = {image: pickle.dumps(found) for image, found in (results or {}).items()}

    def update(self, others: "Predictions") -> None:
        """Takes those of other pictures; of a picture that comes again, in place of what is there."""
        self._bytes.update(others._bytes)

    def sort(self) -> None:
        """Brings the pictures into the order of their ids."""
        self._bytes = dict(sorted(self._bytes.items()))

    def __getitem__(self, image: int) -> list[Result]:
        found: list[Result] = pickle.loads(self._bytes[image])
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._bytes)

    def __len__(self) -> int:
        return len(self._bytes)
