"""Sums of weights: what they see, and that they do not depend on where values lie."""

import pytest
import torch

from maskrcnn.engine.checksum import checksum, hash_state, parts


def naive(values: torch.Tensor) -> int:
    bits = values.contiguous().view(torch.int32).flatten().tolist()
    total = sum(bit * (2 * i + 1) for i, bit in enumerate(bits)) % 2**64
    return total - 2**64 if total >= 2**63 else total


def test_a_checksum_is_the_weighted_sum_of_the_bits_modulo_2_to_the_64() -> None:
    values = torch.randn(40, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 1e30
    assert checksum([values]).item() == naive(values)
    assert checksum([values[:7], values[7:]]).item() == naive(values)  # one after the other
    assert checksum([values.to(memory_format=torch.channels_last)]).item() == naive(values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8])
def test_a_changed_value_and_two_that_change_places_are_seen(dtype: torch.dtype) -> None:
    values = torch.arange(1, 9).to(dtype)
    before = values.clone()
    swapped, changed = values.clone(), values.clone()
    swapped[[2, 5]] = values[[5, 2]]
    changed[3] += 1
    assert len({checksum([one]).item() for one in (values, swapped, changed)}) == 3
    assert torch.equal(values, before)


def test_parts_are_named_by_the_first_two_names_of_a_key() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    assert {name: len(values) for name, values in parts(model).items()} == {"0.weight": 1, "0.bias": 1, "1.0": 2}


def test_a_hash_of_weights_sees_keys_bits_and_dtype_but_not_order_or_layout() -> None:
    a, b = torch.randn(2, 3, 4, 4), torch.zeros(3)
    state = {"a": a, "b": b}
    same = {"b": b.clone(), "a": a.to(memory_format=torch.channels_last)}
    assert hash_state(state) == hash_state(same)
    others = [{"a": a, "c": b}, {"a": a, "b": -b}, {"a": a, "b": b.to(torch.int32)}, {"a": a.view(2, 3, 2, 8), "b": b}]
    assert len({hash_state(other) for other in [state, *others]}) == 5
