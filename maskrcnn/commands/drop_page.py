"""The page to drop pictures on, see `drop.py`: it sends a file, and shows the picture that comes back."""

from html import escape

from maskrcnn.page.html import STYLE

_STYLE = """
#drop { display: block; border: 2px dashed #888; border-radius: 8px; padding: 3em 1em; text-align: center;
  cursor: pointer }
#drop.over { background: #eef4fb } #drop:focus-within { outline: 2px solid #0072b2 }
#drop input { width: 1px; opacity: 0 }
#status { min-height: 1.5em } #status.error { padding: .3em }
"""
_SCRIPT = """
const at = id => document.getElementById(id), score = at("score"), status = at("status"), result = at("result");
let file = null, asked = 0;
async function predict() {
  if (!file) return;
  const number = ++asked;
  status.className = ""; status.textContent = "looking at " + file.name + " ...";
  try {
    if (file.size > LIMIT) throw Error(file.name + " is larger than " + LIMIT / 2 ** 20 + " MB");
    const answer = await fetch("/predict?score_threshold=" + score.value, {method: "POST", body: file});
    if (!answer.ok) throw Error(await answer.text());
    const picture = await answer.blob();
    if (number !== asked) return;
    const found = JSON.parse(answer.headers.get("X-Found"));
    const names = Object.entries(found).map(([name, count]) => count + " x " + name).join(", ");
    status.textContent = file.name + ": " + (names || "nothing scored " + score.value + " or more");
    URL.revokeObjectURL(result.src);
    result.src = URL.createObjectURL(picture);
  } catch (error) {
    if (number !== asked) return;
    status.className = "error"; status.textContent = error.message; result.removeAttribute("src");
  }
}
const take = files => { if (files.length) { file = files[0]; predict(); } };
at("file").onchange = event => take(event.target.files);
score.oninput = () => at("value").textContent = score.value;
score.onchange = predict;
document.ondragover = event => { event.preventDefault(); at("drop").className = "over"; };
document.ondragleave = () => at("drop").className = "";
document.ondrop = event => { event.preventDefault(); at("drop").className = ""; take(event.dataTransfer.files); };
"""


def drop_page(checkpoint: str, classes: list[str], score_threshold: float, limit: int) -> str:
    """The page as HTML.

    Args:
        checkpoint: its name; classes: of its instances.
        score_threshold: where the slider starts; limit: bytes that a file may have.
    """
    title = escape(checkpoint)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{STYLE}{_STYLE}</style>
<h1>{title}</h1><p>Finds {escape(", ".join(classes))}.</p>
<label id="drop">Drop a picture here, or choose one<input id="file" type="file"></label>
<p><label>Least score <input id="score" type="range" min="0" max="1" step="0.05" value="{score_threshold}"></label>
<span id="value">{score_threshold}</span></p>
<p id="status" role="status"></p><img id="result" alt="">
<script>const LIMIT = {limit};{_SCRIPT}</script></html>
"""
