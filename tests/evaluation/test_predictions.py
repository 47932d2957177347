import gc
import pickle

from maskrcnn.evaluation.predictions import Predictions
from maskrcnn.evaluation.results import Result


def results(image: int, count: int) -> list[Result]:
    return [
        Result(
            image_id=image,
            category_id=i % 3,
            bbox=[i + 0.1, 2.0, 3.5, 1e-9],
            score=i / 7,
            segmentation={"size": [480, 640], "counts": f"a{i}b"},
        )
        for i in range(count)
    ]


def test_what_was_given_comes_back() -> None:
    given = {5: results(5, 3), 2: [], 9: results(9, 1)}
    found = Predictions(given)
    assert found == given and list(found) == [5, 2, 9] and pickle.loads(pickle.dumps(found)) == given
    found[5].clear()  # a copy
    assert found[5] == given[5]
    found.update(Predictions({9: results(9, 2), 1: results(1, 1)}))
    assert found == {**given, 9: results(9, 2), 1: results(1, 1)}
    found.sort()
    assert list(found) == [1, 2, 5, 9] and found[9] == results(9, 2)
    assert Predictions() == {}


def test_garbage_collection_has_nothing_to_look_through() -> None:
    sent = pickle.dumps(Predictions({image: results(image, 100) for image in range(50)}))
    gc.collect()
    before = len(gc.get_objects())
    found: Predictions = pickle.loads(sent)
    assert len(gc.get_objects()) - before < 20
    assert sum(map(len, found.values())) == 5000
