"""What a benchmark's command line asks for."""

import sys


def is_quick() -> bool:
    """Whether the less that `quick` stands for is to be measured; ends in a sentence where another word is given."""
    words = sys.argv[1:]
    if words not in ([], ["quick"]):
        sys.exit(f"error: {' '.join(words)}: give quick, or nothing")
    return words == ["quick"]
