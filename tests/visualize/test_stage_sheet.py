"""The sheet of stages: what its panels show is what the tensors say."""

import cv2
import numpy as np
import pytest
import torch

from maskrcnn.modeling.box_head import BoxPrediction, RefinedRegions
from maskrcnn.modeling.rpn import RefinedAnchors, RPNOutput
from maskrcnn.modeling.stages import Stages
from maskrcnn.ops.paste import paste_bitmap
from maskrcnn.ops.roi_align import sampling_grid
from maskrcnn.structures import Detections, Proposals
from maskrcnn.visualize.feature_panels import features_row
from maskrcnn.visualize.level_tiles import GAP, tile_view
from maskrcnn.visualize.maps import tinted
from maskrcnn.visualize.mask_panels import masks_row
from maskrcnn.visualize.panel import SHEET_WIDTH, WIDTH, Panel, Row, sheet, wrap
from maskrcnn.visualize.proposal_panels import proposals_row
from maskrcnn.visualize.region_panels import regions_row, sample_points
from maskrcnn.visualize.scene import FOLLOWED, NEGATIVE, POSITIVE, Scene, make_scene, zoomed
from maskrcnn.visualize.stages import draw_stages
from maskrcnn.visualize.text import text_size

CLASSES = ["disc", "bar"]
HEIGHT, WIDTH_, STRIDES = 60, 90, (4, 8)  # content of a canvas of 64 x 96


def make_stages(detected: bool = True) -> Stages:
    """Two proposals of a canvas, by hand: the first is found as a bar, the second is background."""
    rng = torch.Generator().manual_seed(0)
    sizes = [(16, 24), (8, 12)]
    maps = tuple(torch.randn(1, 5, *size, generator=rng) for size in sizes)
    anchors = tuple(
        torch.tensor([[s * c - 2.0 * s, s * r - 2.0 * s, s * c + 2.0 * s, s * r + 2.0 * s] for r in range(h)
                      for c in range(w)])
        for s, (h, w) in zip(STRIDES, sizes)
    )  # fmt: skip
    objectness = tuple(torch.full((1, h * w), -9.0) for h, w in sizes)
    objectness[1][0, 3 * 12 + 5] = 2.0  # the cell of row 3 and column 5
    boxes = torch.tensor([[[20.0, 12, 52, 40], [60, 30, 80, 50]]])
    found = torch.tensor([[[22.0, 10, 54, 42], [0, 0, 1, 1]]])
    valid = torch.tensor([[detected, False]])
    ones = torch.ones(1, 2, dtype=torch.bool)
    index = torch.tensor([[[7, 0], [3 * 12 + 5, 1]]])
    return Stages(
        images=torch.randint(0, 256, (1, 3, 64, 96), generator=rng, dtype=torch.uint8),
        image_sizes=torch.tensor([[HEIGHT, WIDTH_]]),
        pixels=torch.zeros(1, 3, 64, 96),
        backbone=maps,
        pyramid=maps,
        rpn=RPNOutput(objectness, tuple(torch.zeros(1, len(a), 4) for a in anchors), anchors),
        refined_anchors=RefinedAnchors(
            index, boxes[:, [1, 1, 0, 1]].view(1, 2, 2, 4), torch.tensor([[[1.0, 0], [2, 0]]]), ones.view(1, 1, 2)
            .expand(1, 2, 2)),
        anchors_kept=torch.tensor([[[True, False], [True, False]]]),
        proposal_slots=torch.tensor([[2, 0]]),
        proposals=Proposals(boxes, torch.tensor([[2.0, 1]]), ones),
        region_levels=torch.tensor([[1, 0]]),
        region_grid=sampling_grid(boxes[0], torch.tensor([8, 4]), (3, 3), 2, aligned=True),
        region_features=torch.randn(1, 2, 5, 3, 3, generator=rng),
        prediction=BoxPrediction(torch.tensor([[0.0, 3, 0], [0, 0, 5]]), torch.zeros(2, 1, 4)),
        refined_regions=RefinedRegions(torch.tensor([[0, 1]]), torch.tensor([[1, 0]]), found, ones.float(), valid),
        regions_kept=valid,
        detection_slots=torch.tensor([[0, 1]]),
        detections=Detections(
            found, torch.tensor([[0.9, 0]]), torch.tensor([[1, 0]]), torch.rand(1, 2, 6, 6, generator=rng), valid
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(make_stages(), CLASSES, np.array([0.5, 0.5]), "continuous")


def is_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour)).all(axis=-1)


def test_the_best_detection_is_followed_back_to_its_anchor(scene: Scene) -> None:
    example = scene.example
    assert example is not None
    assert (example.label, example.region, example.level) == (1, 0, 1)
    assert example.proposal.tolist() == [20, 12, 52, 40] and example.box.tolist() == [22, 10, 54, 42]
    assert example.anchor_box.tolist() == [8 * 5 - 16, 8 * 3 - 16, 8 * 5 + 16, 8 * 3 + 16]


def test_thresholds_are_those_of_the_class(scene: Scene) -> None:
    assert scene.found().tolist() == [0]
    assert scene._replace(thresholds=np.array([0.1, 0.95])).found().tolist() == []
    assert scene._replace(thresholds=np.array([0.95, 0.89])).found().tolist() == [0]


def test_a_level_that_covers_more_than_the_canvas_has_its_stride(scene: Scene) -> None:
    pyramid = tuple(torch.zeros(1, 5, -(-64 // stride), -(-96 // stride)) for stride in (4, 8, 16, 32, 64))
    wider = scene._replace(stages=scene.stages._replace(pyramid=pyramid))
    assert [wider.stride(level) for level in range(5)] == [4, 8, 16, 32, 64]  # 96 // 2 cells would be 48
    assert wider.level_name(4) == "P6"


def test_the_picture_is_the_content_framed_around_the_object(scene: Scene) -> None:
    drawing = features_row(scene).panels[0].drawing
    plain = scene.view.show(scene.stages.images[0, :, :HEIGHT, :WIDTH_].permute(1, 2, 0).numpy(), 1)
    (x1, y1), (x2, y2) = scene.view.place(scene.example.box.reshape(2, 2)).astype(int)
    assert is_colour(drawing[y1 : y2 + 1, x1], FOLLOWED).all() and is_colour(drawing[y1, x1 : x2 + 1], FOLLOWED).all()
    changed = (drawing != plain).any(axis=2)
    changed[y1 - 5 : y2 + 5, x1 - 5 : x2 + 5] = False
    assert not changed.any()


def test_objectness_is_the_probability_in_its_cell(scene: Scene) -> None:
    drawing = proposals_row(scene._replace(example=None)).panels[0].drawing
    view, columns = tile_view(scene, 2)
    height, width = view.size[0] + text_size("", 1)[1] + GAP, view.size[1] + GAP
    bottom, left = (1 // columns + 1) * height - GAP, 1 % columns * width  # of the second tile, that of P3
    tile = drawing[bottom - view.size[0] : bottom, left : left + view.size[1]]
    probability = 1 / (1 + np.exp(-2.0))
    hot = (tile == tinted(np.array([[probability]]), cv2.COLORMAP_INFERNO)[0, 0]).all(axis=2)
    rows, columns_hot = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
    np.testing.assert_allclose((rows[0], rows[-1] + 1), np.array([24, 32]) * view.scale, atol=1)
    np.testing.assert_allclose((columns_hot[0], columns_hot[-1] + 1), np.array([40, 48]) * view.scale, atol=1)
    assert hot[rows[0] : rows[-1] + 1, columns_hot[0] : columns_hot[-1] + 1].all()


def test_regions_are_green_or_grey_by_their_best_class(scene: Scene) -> None:
    panel = regions_row(scene._replace(example=None)).panels[0]
    assert panel.text.startswith("Of 2 proposals (RoIs), the box head takes 1 for an object")
    for box, colour in zip(scene.stages.proposals.boxes[0].numpy(), (POSITIVE, NEGATIVE)):
        want = scene.faded
        scene.view.box(want, box, colour, 1)
        touched = (want != scene.faded).any(axis=2)
        np.testing.assert_array_equal(panel.drawing[touched], want[touched])


def test_sample_points_lie_evenly_in_the_proposal(scene: Scene) -> None:
    # 3 x 3 bins of 2 x 2 samples: six along each side, a twelfth of the side from its ends.
    x = 20 + 32 * (np.arange(6) + 0.5) / 6
    y = 12 + 28 * (np.arange(6) + 0.5) / 6
    want = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(sample_points(scene, 0), want, atol=1e-4)


def test_counts_are_those_of_the_tensors(scene: Scene) -> None:
    proposals = proposals_row(scene).panels[3].text
    assert proposals.endswith("overlap a better one: 2 of 4 stay. The best 2 of all levels go on; 2 are drawn.")
    detections = masks_row(scene).panels[0].text
    assert detections == (
        "Of 1 refined boxes (grey), 1 outlive the suppression within their class. 1 of these score 0.5 or more (green)."
    )
    assert (
        features_row(scene).panels[3].text.startswith("Boxes of fixed sizes at every cell of every level, 480 in all")
    )


def test_the_align_panel_has_a_dot_at_each_sample(scene: Scene) -> None:
    drawing = regions_row(scene).panels[1].drawing
    view = zoomed(scene, scene.example._replace(box=scene.example.proposal))
    for x, y in view.place(sample_points(scene, 0)).astype(int):
        assert is_colour(drawing[y, x], FOLLOWED)


def test_the_mask_panel_is_the_mask(scene: Scene) -> None:
    drawing = masks_row(scene).panels[1].drawing
    side = drawing.shape[0]
    left = (drawing.shape[1] - side) // 2
    mask = scene.stages.detections.masks[0, 0].numpy()
    middles = ((np.arange(6) + 0.5) * side / 6).astype(int)
    np.testing.assert_array_equal(drawing[np.ix_(middles, left + middles)], tinted(mask, cv2.COLORMAP_INFERNO))


def test_the_object_keeps_its_colours_where_its_pasted_mask_is(scene: Scene) -> None:
    panel = masks_row(scene).panels[2]
    box = np.array([22, 10, 54, 42], np.float32)
    bitmap = paste_bitmap(scene.stages.detections.masks[0, 0].numpy(), box, (HEIGHT, WIDTH_), "continuous")
    assert 50 < bitmap.sum() < 32 * 32 and f"{bitmap.sum()} pixels" in panel.text
    view = zoomed(scene, scene.example)
    inside = view.show(bitmap[..., None].repeat(3, axis=2).astype(np.uint8) * 255, 1)
    core, reach = (f(inside, np.ones((7, 7))) for f in (cv2.erode, cv2.dilate))
    picture = view.show(scene.picture, 1)
    frame = picture.copy()
    view.box(frame, box, FOLLOWED, 3)
    free = (frame == picture).all(axis=2)
    within, without = free & (core[..., 0] == 255), free & (reach[..., 0] == 0)
    assert within.sum() > 100 and without.sum() > 100
    np.testing.assert_array_equal(panel.drawing[within], picture[within])
    drawn = panel.drawing[without]
    assert (drawn.max(axis=1) == drawn.min(axis=1)).all() and drawn.min() >= 118


def test_the_result_has_the_followed_object_in_its_colour(scene: Scene) -> None:
    stages = scene.stages
    boxes = torch.tensor([[[22.0, 10, 54, 42], [60, 30, 80, 50]]])
    whole = torch.ones_like(stages.detections.masks)
    both = Detections(boxes, torch.tensor([[0.9, 0.8]]), torch.tensor([[1, 0]]), whole, torch.tensor([[True, True]]))
    two = scene._replace(stages=stages._replace(detections=both))
    result = masks_row(two).panels[-1]
    corners = [np.round(boxes[0, i, :2].numpy() * scene.view.scale).astype(int) for i in range(2)]
    assert [tuple(result.drawing[y, x].tolist()) for x, y in corners] == [FOLLOWED, POSITIVE]
    # Where its score is not enough for its class, the other one alone is left, and keeps its colour.
    other = masks_row(two._replace(thresholds=np.array([0.5, 0.95]))).panels[-1].drawing
    assert tuple(other[corners[1][1], corners[1][0]].tolist()) == POSITIVE
    assert not is_colour(other, FOLLOWED).any()


def test_a_box_that_hardly_moves_moves_by_nothing(scene: Scene) -> None:
    still = scene.example._replace(box=scene.example.proposal - np.float32(0.01))
    text = regions_row(scene._replace(example=still)).panels[-1].text
    assert "by +0.00 of its width, +0.00 of its height, to 1.00 and 1.00 times its size" in text


def test_a_picture_in_which_nothing_is_found_is_drawn_too() -> None:
    stages = make_stages(detected=False)
    scene = make_scene(stages, CLASSES, np.array([0.5, 0.5]), "continuous")
    assert scene.example is None
    assert masks_row(scene).panels[-1].text == "Nothing was found."
    assert regions_row(scene).panels[1].title == "Nothing to follow"
    assert draw_stages("a", stages, CLASSES, np.array([0.5, 0.5]), "continuous").shape[1] == SHEET_WIDTH


def test_panels_lie_beside_each_other_under_their_titles() -> None:
    red, blue = (np.full((50, WIDTH, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    picture = sheet(
        "title", [("red", (255, 0, 0))], [Row("row", "code", [Panel("a", red, "x"), Panel("b", blue, "y")])]
    )
    rows, columns = np.nonzero(is_colour(picture, (0, 0, 255)))
    assert len(rows) == blue.shape[0] * WIDTH == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    top, left = rows.min(), columns.min()
    np.testing.assert_array_equal(picture[top : top + 50, left - 16 - WIDTH : left - 16], red)
    assert (picture[top - 30 : top, left : left + WIDTH] < 100).any()  # its title


def test_text_is_broken_between_words_within_the_width() -> None:
    text = "Each level answers for objects of its size, and none for all of them."
    lines = wrap(text, 200)
    assert " ".join(lines) == text and len(lines) > 2
    assert wrap(lines[0], 200) == [lines[0]]
    assert wrap("incomprehensibilities a", 10) == ["incomprehensibilities", "a"]
