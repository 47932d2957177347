"""What a run was made of, from its receipt."""

import json
import shlex
from datetime import datetime
from html import escape
from typing import Any

from maskrcnn.page.duration import duration
from maskrcnn.page.html import folded, table
from maskrcnn.report.section import section


def receipt_section(receipt: dict[str, Any] | None) -> str:
    """Command, seed, data, code, machine and time, each start of the run with its versions.

    Args:
        receipt: content of `receipt.json`; None where there is none.
    """
    if receipt is None:
        return ""
    last = receipt["starts"][-1]
    rows: list[tuple[str, object]] = [
        ("command", f"python train.py {' '.join(map(shlex.quote, last['overrides']))}".rstrip()),
        ("seed", receipt["config"].get("seed")),
        ("identity", receipt["identity"]),
    ]
    for name, part in (last["data"] or {}).items():
        digests = f"annotations {part['annotations'][:12]}, pictures {part['pictures'][:12]}"
        rows.append((f"data: {name}", f"{part['number']} pictures ({digests})"))
    code = f"commit {last['commit'][:12]}" if last["commit"] else "not under version control"
    rows.append(("code", f"{code} with the changes in {last['diff']}" if last["diff"] else code))
    hardware = last["hardware"]
    machine = [hardware["cpu"], f"cores: {hardware['cores']}", f"threads: {hardware['threads']}", *hardware["gpus"]]
    rows.append(("machine", ", ".join(machine)))
    times = [datetime.fromisoformat(start["time"]) for start in receipt["starts"]]
    rows.append(("begun", ", ".join(f"{time:%Y-%m-%d %H:%M} UTC" for time in times)))
    end = receipt["end"]
    if end is not None:
        state = "finished" if end["finished"] else "not finished"
        rows.append(("trained", f"{state}, {end['steps']} steps in {duration(end['seconds'])}"))
        rows.append(("weights", end["weights"][:12]))
    versions = [(name, version) for name, version in last["versions"].items() if version is not None]
    return section(
        "Receipt",
        _list(rows),
        folded("versions", table(["package", "version"], versions)),
        folded("configuration", f"<pre>{escape(json.dumps(receipt['config'], indent=2))}</pre>"),
    )


def _list(rows: list[tuple[str, object]]) -> str:
    shown = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f'<table class="facts">{shown}</table>'
