"""What other systems lack is taken away here; Windows and macOS themselves are not at hand."""

import ast
import subprocess
import sys
from pathlib import Path

import maskrcnn

TEXT = ("read_text", "write_text", "open")
LACKING = """
import importlib, os, pkgutil, signal
import pytorch_lightning  # which asks for the system first
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGPIPE", "pthread_sigmask", "sigwaitinfo"):
    delattr(signal, name)
del os.sched_getaffinity
import maskrcnn
for module in pkgutil.walk_packages(maskrcnn.__path__, "maskrcnn."):
    if not module.name.endswith("_triton"):
        importlib.import_module(module.name)
from maskrcnn.config.cores import up_to_cores
from maskrcnn.engine.interruption import SIGNALS
print([one.name for one in SIGNALS], up_to_cores(1))
"""


def test_text_is_utf_8_wherever_it_is_read() -> None:
    """Configurations, names of classes and our source hold characters that code pages of Windows lack."""
    wrong = []
    for file in Path(maskrcnn.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXT:
                binary = any(isinstance(one, ast.Constant) and "b" in str(one.value) for one in node.args)
                ours = node.func.attr != "open" or not node.args or isinstance(node.args[0], ast.Constant)
                if ours and not binary and "encoding" not in [one.arg for one in node.keywords]:
                    wrong.append(f"{file.name}:{node.lineno}: {ast.unparse(node)}")
    assert wrong == []


def test_no_module_needs_what_is_unix_only() -> None:
    done = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True)
    assert done.stdout == "['SIGINT', 'SIGTERM'] 1\n", done.stderr
