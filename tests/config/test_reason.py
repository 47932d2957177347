import errno

from maskrcnn.config.reason import reason


def test_a_full_disk_is_told_with_the_file_where_it_is_known() -> None:
    said = "No space left on device"
    assert reason(OSError(errno.ENOSPC, said, "a.csv")) == f"a disk is full, for a.csv: make room ({said})"
    assert reason(OSError(errno.ENOSPC, said)) == f"a disk is full: make room ({said})"


def test_a_file_system_without_locks_is_told() -> None:
    told = reason(OSError(errno.ENOLCK, "No locks available"))
    assert told.startswith("a file system keeps no locks (No locks available), ") and "put the run" in told
