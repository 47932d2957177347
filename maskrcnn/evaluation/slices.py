"""Average precision on parts of the data: pictures, or objects, for which a condition holds.

A condition on pictures alone (`n_objects > 20`) chooses pictures. One that also asks for what an object has (`area <
1024`) chooses objects; the others are ignored as COCO ignores those outside a range of areas: detections that match
them count neither as right nor as wrong. Detections that match nothing count where the condition holds for them too,
or where it asks for what only annotations have.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from maskrcnn.evaluation.coco import ALL, CocoEvaluator, mean
from maskrcnn.evaluation.expression import Expression
from maskrcnn.evaluation.tables import IOU_TYPES, make_tables

OF_PICTURES = ("n_objects", "width", "height", "file_name")
OF_OBJECTS = ("area", "touches_edge", "box_width", "box_height", "category")
OUTSIDE = -1.0  # an area that lies in none of COCO's ranges, not even in that of all


class Attributes(NamedTuple):
    """What annotation files say of pictures and objects beyond what evaluation needs, such as a site."""

    pictures: Mapping[int, Mapping[str, Any]]  # by image id
    objects: Mapping[int, Mapping[str, Any]]  # by annotation id


class Slice(NamedTuple):
    """A part of the data, and how well it was found; NaN where it holds no object."""

    pictures: int  # that the condition holds for; of a condition on objects: that have such an object
    objects: int
    scores: dict[str, float]  # "bbox/AP", "bbox/AP50", "bbox/AR", "segm/AP", ...


def slice_scores(evaluator: CocoEvaluator, condition: Expression, attributes: Attributes) -> Slice:
    """Scores the part of the data for which a condition holds.

    Args:
        evaluator: with ground truth and predictions.
        condition: on OF_PICTURES, OF_OBJECTS, and the names of `attributes`; of the same name in several, the first of
            these counts.
        attributes: of the pictures, and of annotations.

    Raises:
        ValueError: of `Expression`.
    """
    truth = evaluator.ground_truth
    counts: dict[int, int] = {image["id"]: 0 for image in truth["images"]}
    for known in truth["annotations"]:
        counts[known["image_id"]] += not known["iscrowd"]
    pictures = {
        image["id"]: {
            **attributes.pictures.get(image["id"], {}),
            "n_objects": counts[image["id"]],
            **{name: image[name] for name in OF_PICTURES if name in image},
        }
        for image in truth["images"]
    }
    seen = evaluator.seen()
    files = {name for values in attributes.objects.values() for name in values}
    of_pictures = {name for values in pictures.values() for name in values}.difference(OF_OBJECTS)
    of_objects = [name for name in condition.names if name not in of_pictures]
    if not of_objects:
        images = [image for image in seen if condition(pictures[image])]
        annotations, everywhere = truth["annotations"], True
    else:
        images, annotations = seen, []
        everywhere = any(name in files and name not in OF_OBJECTS for name in of_objects)
        for known in truth["annotations"]:
            values = dict(attributes.objects.get(known["id"], {})) | _values(
                known, pictures[known["image_id"]], evaluator
            )
            annotations.append(known if condition(values) else {**known, "area": OUTSIDE})
    chosen = set(images)
    inside = [known for known in annotations if known["area"] != OUTSIDE and not known["iscrowd"]]
    inside = [known for known in inside if known["image_id"] in chosen]
    scores: dict[str, float] = {}
    for iou_type in IOU_TYPES:
        detections = evaluator.detections(iou_type)
        if not everywhere:
            detections = [
                found
                if condition(_values(found, pictures[found["image_id"]], evaluator))
                else {**found, "area": OUTSIDE}
                for found in detections
            ]
        scores |= _score({**truth, "annotations": annotations}, detections, iou_type, images, evaluator)
    count = len({known["image_id"] for known in inside}) if of_objects else len(images)
    return Slice(count, len(inside), scores)


def _values(entry: Mapping[str, Any], picture: Mapping[str, Any], evaluator: CocoEvaluator) -> dict[str, Any]:
    """What objects and detections have, and what their picture has."""
    x, y, width, height = entry["bbox"]
    edge = x < 1 or y < 1 or x + width > picture["width"] - 1 or y + height > picture["height"] - 1
    own = (entry["area"], edge, width, height, evaluator.classes[entry["category_id"]])
    return {**picture, **dict(zip(OF_OBJECTS, own))}


def _score(
    truth: dict[str, Any], detections: list[dict[str, Any]], iou_type: Any, images: list[int], evaluator: CocoEvaluator
) -> dict[str, float]:
    if not images:
        return {f"{iou_type}/{name}": float("nan") for name in ("AP", "AP50", "AR")}
    tables = make_tables(truth, detections, iou_type, images, [evaluator.max_detections], evaluator.backend)
    precision = tables.precision[:, :, :, ALL, 0]
    return {
        f"{iou_type}/AP": mean(precision),
        f"{iou_type}/AP50": mean(precision[0]),
        f"{iou_type}/AR": mean(tables.recall[:, :, ALL, 0]),
    }
