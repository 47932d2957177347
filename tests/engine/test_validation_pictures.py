from maskrcnn.engine.pictures import caption


def test_an_empty_picture_says_what_the_best_score_was() -> None:
    assert caption([0.2, 0.31], 0.5) == "prediction, from score 0.5: none, the best is 0.31"
    assert caption([0.2, 0.5], 0.5) == caption([], 0.5) == "prediction, from score 0.5"
