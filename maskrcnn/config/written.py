"""Plain values as they are written in an override."""

import re
from typing import Any

UNQUOTED = re.compile(r"[\w/+.$%*@?|-]+(?:[ :]+[\w/+.$%*@?|-]+)*", re.ASCII)  # of Hydra's grammar
OTHER = re.compile(r"null|true|false|[+-]?(?:nan|inf|[\d._]+(?:e[+-]?\d+)?)", re.IGNORECASE)  # what is no string


def written(value: Any) -> str:
    """A value in the grammar of Hydra's overrides; a string is quoted only where it must be."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {written(child)}' for name, child in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str) and (not UNQUOTED.fullmatch(value) or OTHER.fullmatch(value)):
        escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
        return f"'{escaped}'"
    return str(value)
