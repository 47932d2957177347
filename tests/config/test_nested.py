"""What differs in nested mappings."""

from maskrcnn.config.nested import changes, differing


def test_changes_are_named_key_by_key() -> None:
    before = {"a": {"b": 1, "c": [1]}, "run_dir": "x", "gone": None}
    now = {"a": {"b": 2, "c": [1]}, "run_dir": "y", "new": {}}
    assert changes(before, now) == ["a.b: 1 -> 2", "gone: None -> absent", "new: absent -> {}"]


def test_one_batch_is_not_all_of_them() -> None:
    all_, one = {"trainer": {"limit_train_batches": 1.0}}, {"trainer": {"limit_train_batches": 1}}
    assert changes(all_, one) == ["trainer.limit_train_batches: 1.0 -> 1"]
    assert list(differing(all_, one)) == [("trainer.limit_train_batches", 1.0, 1)]
    assert list(differing({"a": True}, {"a": 1})) == [("a", True, 1)]
    assert not changes(all_, all_) and not list(differing(one, one))
