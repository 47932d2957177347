"""An exported file finds what the model finds, without this package."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from maskrcnn.commands.export import compare, export
from maskrcnn.commands.exportable import _resampling, _stretch
from maskrcnn.data.resize import Resize, resize_picture
from maskrcnn.data.stretch import Stretch
from maskrcnn.ops.paste import paste_bitmap

DOCS = Path(__file__).parent.parent.parent / "docs" / "export.md"
Command = Callable[..., subprocess.CompletedProcess[str]]

FRESH = """
import json, sys, torch
program = torch.export.load(sys.argv[1], extra_files=(files := {"about.json": ""})).module()
assert json.loads(files["about.json"])["classes"] == ["circle", "square", "triangle", "star"]
outputs = [tuple(program(picture)) for picture in torch.load(sys.argv[2])]
assert outputs[0][1].numpy().min() >= 0  # which a tensor with a gradient refuses
torch.save(outputs, sys.argv[3])
assert "maskrcnn" not in sys.modules and "cv2" not in sys.modules
"""


@pytest.mark.parametrize(("height", "width"), [(40, 60), (200, 150), (64, 96), (501, 777), (63, 50), (2, 3)])
def test_matrices_resize_as_opencv_does(height: int, width: int) -> None:
    rng = np.random.default_rng(height)
    coarse = rng.integers(0, 226, (8, 9, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height)) + rng.integers(0, 30, (height, width, 3), dtype=np.uint8)
    size = Resize(shortest=[64], longest=96).view(height, width, None).size
    wanted = resize_picture(image, size).astype(np.int64)
    pixels = torch.from_numpy(image).permute(2, 0, 1).float()
    rows, columns = (_resampling(96, torch.tensor(s), n) for s, n in zip(size, (height, width)))
    got = (rows @ pixels @ columns.T).round().permute(1, 2, 0).numpy()
    assert np.abs(got[: size[0], : size[1]] - wanted).max() <= 1
    assert not got[size[0] :].any() and not got[:, size[1] :].any()


def instances(score: float, shift: float = 0.0) -> tuple[torch.Tensor, ...]:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]]) + shift
    return boxes, torch.tensor([score, 0.6]), torch.tensor([0, 1]), torch.zeros(2, 4, 4), torch.tensor([True, True])


def test_comparison_finds_partners_and_names_the_greatest_difference() -> None:
    wanted, other = instances(0.9), instances(0.875, shift=0.5)
    swapped = tuple(field.flip(0) for field in other)
    assert compare([wanted], [swapped]) == pytest.approx({"boxes": 0.5, "scores": 0.025, "masks": 0})
    assert compare([wanted], [instances(0.9, shift=50)])["boxes"] == float("inf")
    blank = (*wanted[:4], torch.tensor([False, False]))
    assert compare([blank], [blank]) == {"boxes": 0, "scores": 0, "masks": 0}


def test_what_cannot_be_written_is_said_before_the_checkpoint_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"output=model.pt: its name says the format: output=model.onnx or, "):
        export(checkpoint="none", output="model.pt", source=None, canvas=None, override=[], plugins=[])


def test_the_paste_function_of_the_documentation_is_ours() -> None:
    scope: dict[str, object] = {"torch": torch}
    exec(re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[0], scope)
    mask = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    box = np.array([-3.5, 10.25, 61.0, 47.5], np.float32)
    pasted = scope["paste"](mask, torch.from_numpy(box), 50, 70)  # type: ignore[operator]
    assert np.array_equal(pasted.numpy(), paste_bitmap(mask.numpy(), box, (50, 70), "continuous"))


@pytest.mark.slow
def test_the_file_runs_in_bare_torch_and_finds_the_same(run: Path, command: Command, tmp_path: Path) -> None:
    checkpoint, pictures = run / "checkpoints" / "last.ckpt", next(run.parent.parent.glob("data*/shapes/val"))
    done = command(
        "export.py", f"checkpoint={checkpoint}", f"source={pictures}", "output=m.pt2", cwd=tmp_path, tiny=False
    )
    assert done.returncode == 0, done.stderr
    assert "checked on 4 pictures, one of them blank" in done.stdout and "boxes 0.0e+00" in done.stdout

    from maskrcnn.commands.exportable import Exportable, Fit
    from maskrcnn.engine.restore import restore

    files = sorted(pictures.iterdir())[:2]
    images = [torch.from_numpy(np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])) for file in files]
    images.append(images[0].transpose(0, 1)[:97].contiguous())  # upright, of another size
    torch.save(images, tmp_path / "in.pt")
    names = [str(tmp_path / name) for name in ("m.pt2", "in.pt", "out.pt")]
    subprocess.run([sys.executable, "-c", FRESH, *names], check=True, cwd=tmp_path)
    restored = restore(checkpoint, [], [])
    resize = restored.config["data"]["resize"]
    side = -(-resize["longest"] // 32) * 32
    module = Exportable(restored.model, Fit(resize["shortest"][-1], resize["longest"], (side, side)), None)
    for image, got in zip(images, torch.load(names[2])):
        with torch.no_grad():
            wanted = module(image)
        assert wanted[4].any()
        for a, b in zip(wanted, got):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_onnx_file_finds_the_same(run: Path, command: Command, tmp_path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    import onnxruntime

    checkpoint = run / "checkpoints" / "last.ckpt"
    done = command("export.py", f"checkpoint={checkpoint}", "output=m.onnx", cwd=tmp_path, tiny=False)
    assert done.returncode == 0, done.stderr
    assert "checked on 2 pictures" in done.stdout and "torchvision" not in done.stderr
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    about = json.loads(session.get_modelmeta().custom_metadata_map["about"])
    assert about["classes"] == ["circle", "square", "triangle", "star"]


@pytest.mark.parametrize(("percentiles", "gamma"), [((1.0, 99.8), 0.5), ((0.0, 100.0), 1.0), ((40.0, 60.0), 2.0)])
def test_contrast_is_stretched_as_pictures_are_read(percentiles: tuple[float, float], gamma: float) -> None:
    stretch = Stretch(percentiles=percentiles, gamma=gamma)
    random = np.random.default_rng(0)
    for most in (256, 30, 1):
        picture = random.integers(0, most, (37, 53, 3), dtype=np.uint8)
        got = _stretch(torch.from_numpy(picture), stretch)
        np.testing.assert_array_equal(got.permute(1, 2, 0).numpy(), stretch(picture))


def test_a_file_that_finds_something_else_takes_no_other_files_place(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "model.pt2"
    output.write_text("the one before")
    monkeypatch.setattr("maskrcnn.commands.export.compare", lambda *_: {"boxes": 1.0, "scores": 0.0, "masks": 0.0})
    options: dict[str, Any] = {"source": None, "canvas": None, "override": [], "plugins": []}
    with pytest.raises(ValueError, match=r"model.pt2 would find something else than the model does, so nothing was"):
        export(checkpoint=str(run / "checkpoints" / "best.ckpt"), output=str(output), **options)
    assert output.read_text() == "the one before" and list(tmp_path.iterdir()) == [output]
