"""Files of tensors as others write them: what lies beside the tensors is read as plain values, or not at all."""

import argparse
import pickle
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from maskrcnn.modeling.tensor_file import read_tensors


class HistoryBuffer:
    """As mmengine pickles its log: with arrays, and with methods of its class."""

    def __init__(self) -> None:
        self.log = np.array([1.5, 2.5])

    def mean(self) -> float:
        return float(self.log.mean())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "empty": np.array([]), "statistics_methods": {"mean": HistoryBuffer.mean}}


class Calls:
    """Pickles as the call of a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call[0], self.call[1:]


def test_what_training_scripts_keep_beside_weights_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("mmengine.logging.history_buffer")
    module.__dict__["HistoryBuffer"] = HistoryBuffer
    path = tmp_path / "epoch_12.pth"
    with monkeypatch.context() as patch:
        for name in ("mmengine", "mmengine.logging"):
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(HistoryBuffer, "__module__", module.__name__)
        file = {
            "state_dict": {"a": torch.arange(3.0)},
            "message_hub": {"log_scalars": {"loss": HistoryBuffer()}, "runtime_info": {"best": np.float64(0.25)}},
            "args": argparse.Namespace(lr=0.02),
            "lr_scheduler": {"milestones": Counter([16, 22])},
        }
        torch.save(file, path)
    read = read_tensors(path, str(path), "a file of weights")
    assert torch.equal(read["state_dict"]["a"], torch.arange(3.0))
    assert read["message_hub"]["runtime_info"] == {"best": 0.25}
    assert read["lr_scheduler"] == {"milestones": {16: 1, 22: 1}}
    for passed_over in (read["message_hub"]["log_scalars"]["loss"], read["args"]):
        assert vars(passed_over) == {}


def test_numpys_arrays_and_numbers_are_read(tmp_path: Path) -> None:
    arrays = {code: np.array([1, 0], code) for code in ("?", "u1", "i4", "i8", "f2", "f4", "f8")}
    torch.save({**arrays, "number": np.int64(3)}, tmp_path / "arrays.pth")
    read = read_tensors(tmp_path / "arrays.pth", "arrays.pth", "a file of weights")
    assert read.pop("number") == 3
    for code, array in arrays.items():
        assert read[code].dtype == array.dtype and read[code].tolist() == array.tolist()


class Pointers:
    """Pickles as an array of objects at an address that the file chooses: of a dtype that claims to hold numbers."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        make, arguments, _ = np.array(0).__reduce__()
        return make, arguments, (1, (1,), Forged(self.code), False, b"\x41" * 8)


class Forged:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, (self.code, False, True), (3, "<", None, None, None, -1, -1, 0)


@pytest.mark.parametrize("name", ["evil.pkl", "evil.pth"])
def test_no_array_reaches_into_memory_that_is_not_its_own(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    def write(content: Any) -> None:
        if path.suffix == ".pkl":
            path.write_bytes(pickle.dumps(content, protocol=2))
        else:
            torch.save(content, path)

    write({"a": Pointers("O8")})
    with pytest.raises(ValueError, match=r"could run code \(numpy\.dtype\('O8'\)\)"):
        read_tensors(path, str(path), "a file of weights")
    write({"a": Pointers("f4")})  # half as many bytes as there are
    with pytest.raises(ValueError, match=r"not a file of weights, .* cut short: an array of \(1,\) has 8 bytes"):
        read_tensors(path, str(path), "a file of weights")
    write({"a": Pointers("i8")})
    assert read_tensors(path, str(path), "a file of weights")["a"].tolist() == [0x4141414141414141]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pkl", b"\x80\x02K\x01X\x04\x00\x00\x00nonec_codecs\nencode\n\x86R."),  # no such codec
        ("a.pkl", b"\x80\x02cargparse\nNamespace\n}b."),  # the state of a class
        ("a.pkl", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."),  # 8 exabytes
        ("a.pth", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe8\x03."),  # torch before 1.6, cut short
    ],
)
def test_whatever_is_broken_in_a_file_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{name} is not a file of weights, or it is "):
        read_tensors(tmp_path / name, name, "a file of weights")


def test_a_pickle_takes_no_more_memory_than_it_fills(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\xff.")  # kept as number 4,294,967,295
    assert read_tensors(path, "a.pkl", "a file of weights") == {}


def test_no_function_that_a_file_names_is_called(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"found": Calls(getattr, "text", "upper")}, path)
    assert not callable(read_tensors(path, str(path), "a file of weights")["found"])
    torch.save({"found": Calls(getattr(Path(tmp_path / "touched"), "touch"))}, path)
    with pytest.raises(ValueError, match=r"could run code \(\S+\)\. Where it was made, torch\.save its tensors alone$"):
        read_tensors(path, str(path), "a file of weights")
    assert not (tmp_path / "touched").exists()
