import json
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_memory_grows_with_what_it_is_for(benchmark: Callable[..., str]) -> None:
    lines = benchmark("scaling", "quick").splitlines()
    found = {place: json.loads(values) for place, values in (line.split(": ", 1) for line in lines)}
    assert list(found) == [
        "training, 2 pictures; 64 x 96",
        "training, 2 pictures of 64 x 96; 1 objects each",
        "training, 2 pictures of 64 x 96; 200 objects each",
        "training, 64 x 96; 1 pictures",
        "training, 64 x 96; 4 pictures",
        "inference, 1 picture; 64 x 96",
        "inference, 64 x 96; 2 pictures",
        "inference, 64 x 96; 4 pictures",
        "loading, 640 x 480 to multiscale; 0 processes",
        "loading, 640 x 480 to multiscale; 2 processes",
    ]
    memory = {place: values["MB"] for place, values in found.items() if "MB" in values}
    # Four times the mask slots and the proposals, of which weights and optimiser are no part.
    assert memory["training, 64 x 96; 4 pictures"] > 1.5 * memory["training, 64 x 96; 1 pictures"]
    assert memory["inference, 64 x 96; 4 pictures"] > 1.5 * memory["inference, 1 picture; 64 x 96"]
