"""Several data sets as one."""

from pathlib import Path

from maskrcnn.data.source import Source, Splits


class Member:
    """One of the data sets that are mixed.

    Args:
        root: directory that its source's paths start from, relative to `data.root` (or absolute).
        source: where it lies below it.
        weight: how often each of its training pictures comes in an epoch, on average: with 2 twice, with 0.5 every
            other epoch.
    """

    def __init__(self, *, root: str, source: Source, weight: float) -> None:
        if weight <= 0:
            raise ValueError(f"weight is {weight}; give more than 0. To leave a data set out, remove it")
        self.root, self.source, self.weight = root, source, weight


class MixedSource:
    """Several data sets that are learnt together; those that have a validation part are validated together.

    Classes of the same name are one. A picture of a set whose annotations lack a class teaches that there is none of
    that class in it: sets to be mixed should annotate the same things, or `data.class_map` should bring them together.

    Args:
        sources: the data sets by name.
    """

    def __init__(self, *, sources: dict[str, Member]) -> None:
        if not sources:
            raise ValueError("sources is empty; name at least one data set")
        self.sources = sources

    def prepare(self, root: Path) -> None:
        """Makes sure that every data set is there.

        Raises:
            ValueError, FileNotFoundError: of the sources; the message begins with the set's name.
        """
        for name, member in self.sources.items():
            key = f"data.source.sources.{name}"
            try:
                member.source.prepare(root / member.root)
            except (FileNotFoundError, ValueError) as error:
                kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
                said = str(error).replace("data.source.", f"{key}.source.")  # where the member's keys are
                raise kind(f"{key}: {said}") from error

    def splits(self, root: Path) -> list[Splits]:
        """Where the parts lie, of each data set."""
        return [
            splits._replace(name=f"{name}/{splits.name}" if splits.name else name, weight=member.weight * splits.weight)
            for name, member in self.sources.items()
            for splits in member.source.splits(root / member.root)
        ]
