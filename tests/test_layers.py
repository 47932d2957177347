"""Imports point down: structures, whole_file and garbage, ops, modeling beside data, evaluation, visualize, page and
run_files above them, inspection, prediction and report, engine, beside each other commands and sweep, then how they
start (start, run, cli).
"""

import ast
from pathlib import Path

import pytest

import maskrcnn

PACKAGE = Path(maskrcnn.__file__).parent
PICTURED = {"structures", "whole_file", "garbage", "ops", "data", "evaluation", "visualize"}
MAY_IMPORT = {
    "structures": set(),
    "whole_file": set(),
    "garbage": set(),
    "config": set(),
    "ops": {"structures"},
    "modeling": {"structures", "ops"},
    "data": {"structures", "whole_file", "garbage"},
    "evaluation": {"structures", "ops"},
    "visualize": {"structures", "whole_file", "ops", "modeling"},
    "page": {"whole_file"},
    "run_files": {"whole_file", "modeling", "config"},
    "inspection": {*PICTURED, "modeling", "page"},
    "prediction": PICTURED,
    "report": {*PICTURED, "page"},
    "engine": {*PICTURED, "modeling", "page", "run_files", "inspection", "prediction", "report", "config"},
    "commands": {*PICTURED, "modeling", "page", "inspection", "prediction", "report", "config", "run_files", "engine"},
    "sweep": {"whole_file", "page", "run_files", "engine", "config"},
    "start": {"config"},
    "run": {"config", "run_files", "engine", "sweep", "start"},
    "cli": {"config", "run_files", "engine", "commands", "sweep", "start", "run"},
}
FENCED = {
    "hydra": {"config", "start", "run", "cli", "sweep"},  # a sweep's end is one of Hydra's callbacks
    "omegaconf": {"config", "start", "run", "cli", "run_files", "engine", "sweep"},  # one is written, restored
    "pytorch_lightning": {"run_files", "engine", "commands", "data"},
    "albumentations": {"data"},
    "cv2": {"data", "visualize", "page", "inspection", "prediction", "report"},
    "tifffile": {"data"},
    "pycocotools": {"data", "evaluation", "inspection"},
    "hotcoco": {"evaluation"},
}
FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "maskrcnn" and rest:
            assert rest[0] == room or rest[0] in MAY_IMPORT[room], f"{room} imports {name}"
        assert room in FENCED.get(top, {room}), f"{room} imports {name}"
        assert top != "torchvision"
