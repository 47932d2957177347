"""The groups of `conf/`, and where the values of their files belong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra

PACKAGE = Path(__file__).resolve().parent.parent
# In the installed package, conf/ lies inside it; in a checkout, beside it.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
HEADER = "# @package "
CONVERSION = ("from", "to")  # groups of convert_data.py, which trains nothing


def groups() -> dict[str, str]:
    """The key that each group's values belong to, as the header of its files says: {"backbone": "model.backbone"}."""
    found = {}
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir()):
        first = min(folder.glob("*.yaml")).read_text(encoding="utf-8").partition("\n")[0]
        found[folder.name] = first.removeprefix(HEADER).strip() if first.startswith(HEADER) else folder.name
    return found


def training_groups() -> dict[str, str]:
    """Those of `groups` that a training may choose from."""
    return {group: package for group, package in groups().items() if group not in CONVERSION}


def overriding(group: str, name: str = "...") -> str:
    """How a file of the user's, such as an experiment, chooses from a group."""
    return (
        f"a file of yours chooses by '- override /{group}: {name}' in its defaults, and its first line is "
        f"'{HEADER}_global_'"
    )


def list_choices() -> str:
    """The choices of each group of a training, a line each, for --help."""
    return "\n".join(f"{group}: {', '.join(choices(group))}" for group in training_groups())


def choices(group: str) -> list[str]:
    """The names of a group's files."""
    if GlobalHydra.instance().is_initialized():  # with those of the user's --config-dir
        return sorted(GlobalHydra.instance().config_loader().get_group_options(group))
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def list_keys(name: str) -> str:
    """The keys of a command's file, or of each choice of a group, with their comments, for --help."""
    if not (CONF / name).is_dir():
        text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
        return text.partition("\n\n")[2].partition("\nhydra:")[0].strip()
    package, lines = groups()[name], []
    for choice in choices(name):
        text = (CONF / name / f"{choice}.yaml").read_text(encoding="utf-8")
        own = [line for line in text.splitlines() if not line.startswith(("#", "_"))]
        lines += [
            f"{name}={choice}{':' if own else ''}",
            *(f"  {package}.{line}" if line[0] != " " else f"  {line}" for line in own),
        ]
    return "\n".join(lines)


def check_groups(config: Mapping[str, Any]) -> None:
    """Checks that the values of each group lie where its package says, and are a mapping there.

    Args:
        config: a composed configuration, resolved or not.

    Raises:
        ValueError: values lie at the top level, as those of a file without its header do; or a choice was written to
            the package's key.
    """
    for group, package in groups().items():
        if package == group:
            continue
        values = config.get(group)
        if isinstance(values, str):
            raise ValueError(f"{group}: {values} chooses nothing where it stands; {overriding(group, values)}")
        if values is not None:
            instead = "" if package == "_global_" else f" On the command line, single values are {package}.KEY=..."
            raise ValueError(
                f"the values of '{group}' lie at the top level"
                f"{'' if package == '_global_' else f' instead of at {package!r}'}: the first line of a file of yours "
                f"in this group must be '{HEADER}{package}'.{instead}"
            )
        above, _, name = package.rpartition(".")
        parent = config.get(above)
        if isinstance(parent, Mapping) and isinstance(parent.get(name), str):
            raise ValueError(f"'{package}' holds values, not a choice. Did you mean {group}={parent[name]}?")
