"""Code of the user's is told apart by what its files hold."""

from pathlib import Path

import pytest

from maskrcnn.run_files import sources
from maskrcnn.run_files.sources import fingerprints


def test_a_change_of_a_plugin_changes_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "ownparts_a"
    (package / "deep").mkdir(parents=True)
    for path in (package / "__init__.py", package / "deep" / "net.py", tmp_path / "ownparts_b.py"):
        path.write_text("x = 1\n")
    plugins = ["ownparts_a", "ownparts_b", "ownparts_a.deep", "nowhere", "nowhere.deep"]
    before = fingerprints(plugins)
    assert list(before) == ["plugin ownparts_a", "plugin ownparts_b", "plugin ownparts_a.deep"]
    assert fingerprints(plugins) == before and len({*before.values()}) == 3
    (package / "deep" / "net.py").write_text("x = 2\n")
    assert fingerprints(plugins) == before  # a process has imported what was there first
    sources._fingerprint.cache_clear()
    after = fingerprints(plugins)
    assert [name for name in before if after[name] != before[name]] == ["plugin ownparts_a", "plugin ownparts_a.deep"]
