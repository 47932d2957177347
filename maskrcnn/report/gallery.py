"""Ground truth beside prediction, as outlines over their pictures, with a slider of the score."""

from collections.abc import Sequence
from html import escape

import numpy as np

from maskrcnn.data.pictures import PictureReader
from maskrcnn.data.records import Record
from maskrcnn.evaluation.errors import find_errors
from maskrcnn.evaluation.rle import Rle, decode
from maskrcnn.page.picture import data_url, shrink
from maskrcnn.report.outline import outline_path
from maskrcnn.report.ranking import IOU, Judged
from maskrcnn.report.section import section
from maskrcnn.visualize.instances import to_rgb

SIDE = 480  # pixels of a shown picture's longer side
CROWDED = 10  # objects in a picture, beyond which names are shown only where the pointer is
TEXT = 0.035  # height of names, of the longer side
LOWEST = 0.05  # detections that score less are not in the page
RIGHT, WRONG_OR_MISSED, NEITHER = "#009e73", "#d55e00", "#999"  # Okabe and Ito, as `visualize.instances`

STYLE = f"""
.control {{ position: sticky; top: 0; z-index: 1; background: #fff; padding: .5em 0; border-bottom: 1px solid #ccc }}
.control input[type=range] {{ width: min(320px, 60vw); vertical-align: middle }}
.pairs {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 1.5em }}
.pair {{ margin: 0 }} .pair figcaption {{ font-weight: 400 }}
.sides {{ display: grid; grid-template-columns: 1fr 1fr; gap: 8px; max-width: {2 * SIDE + 8}px }}
.sides svg {{ width: 100%; height: auto; display: block; background: #eee }}
.sides path {{ fill: none; stroke: #000; stroke-width: 3.5; stroke-opacity: .5; vector-effect: non-scaling-stroke }}
.sides .line {{ fill-opacity: .15; stroke-width: 1.8; stroke-opacity: 1 }}
.right .line {{ stroke: {RIGHT}; fill: {RIGHT} }} .wrong .line {{ stroke: {WRONG_OR_MISSED}; fill: {WRONG_OR_MISSED} }}
.ignored .line {{ stroke: {NEITHER}; fill: {NEITHER} }} .wrong.object .line {{ stroke-dasharray: 3 2 }}
.sides text {{ fill: #fff; stroke: #000; paint-order: stroke; stroke-width: .25em; stroke-linejoin: round }}
.sides text {{ font-size: var(--height) }} .unnamed .sides g:not(:hover) text {{ display: none }}
@media (max-width: 600px) {{
.sides path {{ stroke-width: 2.4 }} .sides .line {{ stroke-width: 1.2 }}
.sides text {{ font-size: calc(1.6 * var(--height)) }}
}}
"""
SCRIPT = """
const score = document.getElementById("score");
function show() {
  const total = {right: 0, wrong: 0, missed: 0};
  for (const pair of document.querySelectorAll(".pair")) {
    const here = {right: 0, wrong: 0, missed: 0};
    for (const found of pair.querySelectorAll("[data-score]")) {
      const shown = Number(found.dataset.score) >= Number(score.value);
      found.style.display = shown ? "" : "none";
      if (shown && found.classList.contains("right")) here.right++;
      if (shown && found.classList.contains("wrong")) here.wrong++;
    }
    for (const object of pair.querySelectorAll("[data-found]")) {
      const found = Number(object.dataset.found) >= Number(score.value);
      object.classList.toggle("right", found);
      object.classList.toggle("wrong", !found);
      if (!found) here.missed++;
    }
    pair.querySelector(".counts").textContent = `${here.right} right, ${here.wrong} wrong, ${here.missed} missed`;
    for (const kind in total) total[kind] += here[kind];
  }
  document.getElementById("score-shown").textContent = Number(score.value).toFixed(2);
  document.getElementById("counts").textContent =
    `${total.right} right, ${total.wrong} wrong, ${total.missed} missed in these pictures`;
}
if (score) {
  score.addEventListener("input", show);
  const names = document.getElementById("names");
  const toggle = () => document.body.classList.toggle("unnamed", !names.checked);
  names.addEventListener("change", toggle);
  show();
  toggle();
}
"""


def gallery_section(
    worst: list[Judged],
    best: list[Judged],
    records: Sequence[Record],
    read: PictureReader,
    classes: list[str],
    score_threshold: float,
) -> str:
    """The worst and the best pictures.

    Args:
        worst, best: of `rank`; records: of the data set; read: reads a picture of a height and width.
        classes: name of each label; score_threshold: where the slider is at first.
    """
    if not worst:
        return ""
    named = "checked" if np.mean([len(one.pairing.objects) for one in worst + best]) <= CROWDED else ""
    control = (
        f'<div class="control"><label>detections that score <input type="range" id="score" min="{LOWEST}" max="1" '
        f'step="0.01" value="{score_threshold}"> <output id="score-shown"></output> or more</label> '
        f'<label><input type="checkbox" id="names" {named}> names</label><br><span id="counts"></span></div>'
    )
    meaning = (
        f"<p>A picture's quality (panoptic quality at score {score_threshold:g}) is 1 where all objects are found with "
        "exact masks, and nothing else. Left the annotated objects, right the detections. "
        f'<b style="color:{RIGHT}">Right</b>: class and IoU of at least 0.5 agree. '
        f'<b style="color:{WRONG_OR_MISSED}">Wrong</b>: a detection without its object, with its kind of error, or, '
        "dashed, an object that no detection found. Grey: crowd regions, and what lies on them.</p>"
    )
    shown = [control, meaning]
    for title, side in (("Worst pictures", worst), ("Best pictures", best)):
        if side:
            pairs = "".join(_pair(judged, records[judged.picture], read, classes) for judged in side)
            shown.append(f'<h3>{title}</h3><div class="pairs">{pairs}</div>')
    return section("Pictures", *shown)


def _pair(judged: Judged, record: Record, read: PictureReader, classes: list[str]) -> str:
    """One picture with its objects, and again with its detections."""
    caption = f"<b>{escape(record.name)}</b>, quality {judged.quality:.2f}"
    try:
        picture = shrink(to_rgb(read(record.path, (record.height, record.width))), SIDE)
    except (ValueError, OSError) as error:
        return f"<p>{caption}: {escape(str(error))}</p>"
    name = f"picture-{judged.picture}"
    size = f'width="{record.width}" height="{record.height}" preserveAspectRatio="none"'
    image = f'<image id="{name}" {size} href="{data_url(picture)}"/>'
    sides = [(image, _objects(judged, classes)), (f'<use href="#{name}"/>', _detections(judged, classes))]
    drawn = "".join(
        f'<svg viewBox="0 0 {record.width} {record.height}">{below}{"".join(above)}</svg>' for below, above in sides
    )
    counts = '<span class="counts"></span>'
    return f'<figure class="pair"><div class="sides">{drawn}</div><figcaption>{caption}: {counts}</figcaption></figure>'


def _objects(judged: Judged, classes: list[str]) -> list[str]:
    """The annotated objects, each with the score of the detection that found it, or -1."""
    pairing = judged.pairing
    scores = {of: result["score"] for of, result in zip(pairing.match.tolist(), pairing.detections)}
    drawn = []
    for place, (entry, crowd) in enumerate(zip(pairing.objects, pairing.crowd.tolist())):
        name = classes[entry["category_id"]]
        if crowd:
            drawn.append(_outline(entry["segmentation"], f"crowd: {name}", 'class="ignored"'))
        else:
            data = f'class="object" data-found="{scores.get(place, -1):.4f}"'
            drawn.append(_outline(entry["segmentation"], name, data))
    return drawn


def _detections(judged: Judged, classes: list[str]) -> list[str]:
    """What was found, the best last and so on top; the wrong ones say their kind of error."""
    pairing = judged.pairing
    errors = {error.detection: error.kind for error in find_errors(pairing, IOU)}
    drawn = []
    for place, (result, of) in enumerate(zip(pairing.detections, pairing.match.tolist())):
        if result["score"] >= LOWEST:
            kind = "wrong" if of < 0 else "ignored" if pairing.crowd[of] else "right"
            name = f"{classes[result['category_id']]} {result['score']:.2f}"
            if place in errors:
                name += f" ({errors[place]})"
            data = f'class="{kind}" data-score="{result["score"]:.4f}"'
            drawn.append(_outline(result["segmentation"], name, data))
    return drawn[::-1]


def _outline(rle: Rle, name: str, attributes: str) -> str:
    """A mask with its name at its upper left corner."""
    mask = decode(rle)
    if not mask.any():
        return ""
    side = max(mask.shape)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    size = round(side * TEXT, 1)
    path = outline_path(mask, max(side / SIDE, 0.75))  # 0.75: no steps of pixels
    top = max(int(rows[0]) - size / 4, 1.6 * size)  # inside the picture, on a phone too
    left = columns[0] < 0.6 * mask.shape[1]  # or it is cut at the picture's right border
    place = f'x="{columns[0]}"' if left else f'x="{columns[-1] + 1}" text-anchor="end"'
    text = f'<text {place} y="{top:g}" style="--height: {size:g}px">{escape(name)}</text>'
    drawn = f'<path d="{path}"/><path class="line" d="{path}"/>{text}'
    return f"<g {attributes}><title>{escape(name)}</title>{drawn}</g>"
