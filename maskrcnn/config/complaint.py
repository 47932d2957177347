"""Says in one sentence what was meant where Hydra refuses a command line."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from maskrcnn.config.check import DECIMAL_COMMA
from maskrcnn.config.groups import CONF, CONVERSION, choices, groups, overriding, training_groups
from maskrcnn.config.habits import CHOICES
from maskrcnn.config.nested import at, keys
from maskrcnn.config.suggest import did_you_mean, suggest
from maskrcnn.config.unknown_key import OWN_FOLDER, TRAINING, checkpoint_at, meant, option_named, with_choices

BY_NAME = ("callbacks", "logger")  # groups of which several files add up
SECOND = re.compile(r"\s([+~]*[a-z_][\w./@]*=)", re.IGNORECASE)  # key within the value of another
NO_NAME = re.compile(r"null|true|false|[-+.\d]+", re.IGNORECASE)  # which Hydra takes for no text
FOREIGN_KEY = re.compile(r"[{,]\s*[\"']?([^{}\[\],:]*[^\x00-\x7f][^{}\[\],:]*?)[\"']?\s*:")
DASHES = ("-", "\u2013", "\u2014", "\u2212")  # the long ones are made by editors
EDGES = ' \t=,"\u201c\u201d\u2018\u2019'  # what slips in around a key or a value; the last four are an editor's quotes
ALONE = ("explain", "verify")  # of train.py, read before Hydra reads the rest


def complain(error: Exception, config_name: str, arguments: list[str]) -> str:
    """Hydra's complaint in one sentence, with what may have been meant.

    Args:
        error: of composition.
        config_name, arguments: what was composed; the arguments with Hydra's options among them, as a user gave them.
    """
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override), config_name, arguments)
    text = "\n".join([str(error)] + ([str(error.__cause__)] if error.__cause__ else []))
    resolved = re.search(r"ValueError raised while resolving interpolation: (.*)", text)
    if resolved is not None:
        return resolved[1]
    if "interpolation" in text.lower() and (spoilt := _spoilt(text, config_name, arguments)):
        return spoilt
    if (file := _of_a_file(text, arguments)) is not None:
        return file
    choice = re.search(r"Could not find '(hydra/[^'/]+|[^'/]+)/([^']*)'", text)
    if choice is not None:
        listed = sorted(re.findall(r"^\t(\S+)$", text, re.MULTILINE))  # with those of the user's --config-dir
        if (habit := CHOICES.get(f"{choice[1]}={choice[2]}")) is not None:
            return f"there is no {choice[1]}={choice[2]}: {habit}"
        name = Path(choice[2]).stem if choice[2].endswith(".yaml") else choice[2]  # of a file
        near = suggest(name, listed)
        unlike = near.startswith("Known")
        said = f"there is no {choice[1]}={choice[2]}. {'' if unlike else f'{near} '}Choices: {', '.join(listed)}"
        if unlike and choice[2] and not OWN_FOLDER.search(" ".join(arguments)):
            said += f"; a file of your own, {choice[1]}/{name}.yaml, needs --config-dir=<the folder above>"
        return said
    there = re.search(r"Multiple values for (\w+)\.|An item is already at '([^']+)'", text)
    if there is not None:
        key = there[1] or there[2]
        argument = next((a for a in arguments if a.startswith(f"+{key}=")), f"+{key}=...")
        what = "a choice" if there[1] else "the key"
        return f"{argument}: {what} is there already, which is changed without +: {argument[1:]}"
    ambiguous = re.search(r"Ambiguous value for argument '([^=]+)=([^\n]*)'", text)
    if ambiguous is not None:
        key, value = ambiguous[1], ambiguous[2].replace('"', "")  # quotes that letters beyond ASCII got
        sweep = f"A sweep needs -m: -m {key}={value}" if config_name == "train" else ""
        now = at(with_choices(key, config_name, arguments), key)
        if DECIMAL_COMMA.fullmatch(value) and isinstance(now, float):
            point = value.replace(",", ".")
            return f"{key}={value}: a number has a decimal point: {key}={point}. {sweep}".rstrip(". ")
        if key not in groups() and (isinstance(now, str) or (now is None and "/" in value)):  # a text, or a path
            quoted = shlex.quote(f'{key}="{value}"')
            return f"{key}={value} holds a comma: a text needs two pairs of quotes, {quoted}. {sweep}".rstrip(". ")
        if (key not in groups() and not isinstance(now, int | float)) or key in BY_NAME:
            what = "All of them at once need" if key in BY_NAME else "A list needs"
            sweep = f"{what} brackets: '{key}=[{value}]'" + (f"; a{sweep[1:]}" if sweep else "")
        return f"{key}={value} holds a comma. {sweep}".rstrip(". ")
    unknown = re.search(r"Could not (?:override|delete(?: from config\.)?) '([^']+)'", text)
    if unknown is None or "=" in unknown[1]:  # ~group=choice, where another one is chosen
        return text
    value = next((a.partition("=")[2] for a in arguments if a.lstrip("+~").partition("=")[0] == unknown[1]), "...")
    below = re.search(rf"full_key: ({re.escape(unknown[1])}\.[\w.]+)", text)
    inside = below if value.startswith("{") and unknown[1] not in groups() else None
    if inside is not None and "_target_" in value:
        return (
            f"{unknown[1]}: what is given is added to the part that is there, which has other keys; "
            f"~{unknown[1]} '+{unknown[1]}={value}' replaces it"
        )
    key = unknown[1] if inside is None else inside[1]
    sentence = meant(key, value, config_name, arguments)
    return sentence if config_name == "verify" else f"unknown key '{key}'. {sentence}"  # a key of training


def _of_a_file(text: str, arguments: list[str]) -> str | None:
    """A sentence about a file of the user's that does not choose from a group as files do, if the text is of one."""
    twice = re.search(r"Multiple values for (\w+)\.", text)
    if twice is not None and not any(argument.startswith(f"+{twice[1]}=") for argument in arguments):
        return f"{twice[1]} is chosen already; {overriding(twice[1])}"
    packages = {package: group for group, package in groups().items()}
    single = re.search(r"node `([\w.]+)` is not a container", text)
    if single is not None and single[1] in packages:
        return f"{single[1]} holds several keys, but is given a single value; {overriding(packages[single[1]])}"
    found = re.search(r"In '([^']+)': Could not find '[^'/]+/([^'/]+)/([^']*)'", text)
    found = found or re.search(r"In '([^']+)': Could not override '(?:[^'@]*/)?([^'/@]+)()(?:@[^']*)?'", text)
    if found is None:
        return None
    group = packages.get(found[2], found[2])
    return f"{found[1]}.yaml: {overriding(group, found[3] or '...')}" if group in groups() else None


def _spoilt(text: str, config_name: str, arguments: list[str]) -> str | None:
    """A sentence about an override that takes away, or writes over, what the text says that another key refers to."""
    for argument in arguments:
        key, _, value = argument.lstrip("+~").partition("=")
        if f"{key}." not in text:
            continue
        node = at(with_choices(key, config_name, []), key)
        if argument.startswith("~") and node is not None:
            return f"{argument}: other keys need what it takes away; give {key} another value instead"
        if isinstance(node, dict) and key not in groups() and not value.startswith("{"):
            parts = [f"{group}=" for group, package in groups().items() if package.rpartition(".")[0] == key]
            choose = f", or choose a part by {', '.join(parts)}" if parts else ""
            if value == "null":
                follower = text.partition("full_key: ")[2].partition("\n")[0]
                other = re.match(r"callbacks\.\w+", follower) if key.startswith("callbacks.") else None
                unless = f", unless {other[0]}=null is given too" if other else ""
                return f"{argument}: {follower} follows a key below {key}, so that it has to stay{unless}"
            return f"{argument}: {key} holds several keys; change one of them, such as {keys(node, key)[-1]}{choose}"
    return None


def unchosen(arguments: list[str]) -> str | None:
    """A sentence about a group that is given a number or null in a choice's place, if there is one."""
    for key, _, value in (argument.partition("=") for argument in arguments):
        if key in groups() and NO_NAME.fullmatch(value):
            return f"{key}={value}: give one of {', '.join(choices(key))}, or leave it out"
    return None


def dashes(arguments: list[str], config_name: str) -> str | None:
    """A sentence about a key that is written like an option, or an option that there is not, if there is one."""
    rest = get_args_parser().parse_known_args(arguments)[1]
    unknown = [one for one in arguments if one.startswith(DASHES) and (one in rest or not one.isascii())]
    if not unknown:
        return None
    name, equals, value = unknown[0].lstrip("".join(DASHES)).partition("=")
    if (option := option_named(name)) is not None:
        return f"{unknown[0]}: there is no such option. {did_you_mean([option])}"
    following = arguments[arguments.index(unknown[0]) + 1 :]
    if not equals:
        value = following[0] if following and not following[0].startswith("-") and "=" not in following[0] else "..."
    sentence = _as_key(name if equals else name.replace("-", "_"), value, config_name, arguments)
    return f"{unknown[0]}: keys are given as key=value, without dashes. {sentence}"


def _as_key(key: str, value: str, config_name: str, arguments: list[str]) -> str:
    """How a key, known or not, is written with its value."""
    known = key in (*ALONE, *groups()) or key in keys(with_choices(key, config_name, arguments))
    return f"Did you mean {key}={value}?" if known else meant(key, value, config_name, arguments)


def _unreadable(override: str, config_name: str, arguments: list[str]) -> str:
    place = arguments.index(override) if override in arguments else len(arguments)
    before, following = arguments[max(place - 1, 0) : place], arguments[place + 1 :]
    key, equals, value = override.partition("=")
    if not equals:
        return _bare(override, before, following, config_name, arguments)
    if value.count("[") > value.count("]") and following:  # the shell cut it at a space
        whole = value
        for more in following:
            whole += f" {more}"
            if whole.count("[") == whole.count("]"):
                return f"{override} ends in the middle of a list. Put quotes around all of it: '{key}={whole}'"
    if value.count("[") != value.count("]"):
        return f"{override} has {value.count('[')} opening and {value.count(']')} closing brackets"
    if value[:1] not in ("[", "{", "'", '"') and key != "override" and (second := SECOND.search(value)):
        return (
            f"'{override}' holds several overrides in one argument, as {second[1]} shows: leave out the quotes around "
            'them; a variable with several is an array, data=(key=value key=value), and given as "${data[@]}"'
        )
    if value.startswith("[") and "=" in value:
        bare = (one.strip().strip("\"'") for one in value.strip("[]").split(","))  # some may have quotes
        quoted = ",".join(f'"{one}"' for one in bare)
        return f"{override}: put quotes inside the brackets, and around all of it: '{key}=[{quoted}]'"
    if value.startswith("{") and (letters := FOREIGN_KEY.search(value)):
        return f"{override}: a key such as {letters[1]} can only be given in a file, as Hydra reads ASCII there"
    if value.startswith("{") and "=" in value:
        return f"{override}: a mapping has colons, and quotes around all of it: '{key}={value.replace('=', ': ')}'"
    cleaned = f"{key.strip(EDGES).replace(',', '.')}={value.strip(EDGES)}"
    if key == "override":
        return f"cannot read {override}. It is a list of texts: 'override=[\"{value}\"]', with both quotes"
    if cleaned != override and _is_readable(cleaned):
        return f"cannot read {override}. Did you mean {shlex.quote(cleaned)}?"
    quoted = shlex.quote(f'{key}="{value}"')
    return f"cannot read {override}. A value with one of =,:'[]{{}}() in it needs two pairs of quotes: {quoted}"


def _is_readable(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def _bare(word: str, before: list[str], following: list[str], config_name: str, arguments: list[str]) -> str:
    """What is to be said of a word without =, between those before and after it."""
    row = [*before[-1:], word, *following[:1]]
    for one, other in zip(row, row[1:]):
        if one.endswith("=") or other.startswith("="):
            return f"there is a space in {one} {other}: leave it out"
    path = Path(word)
    chosen = [group for group in _chosen_from(config_name) if path.name.removesuffix(".yaml") in choices(group)]
    chosen = [path.parent.name] if path.parent.name in chosen else chosen  # of conf/experiment/nuclei.yaml
    if chosen and (path.name == word or path.suffix == ".yaml"):
        return f"'{word}' stands without a key. {did_you_mean([f'{group}={path.stem}' for group in chosen])}"
    if sentence := _path(word, config_name):
        return f"'{word}' stands without a key. {sentence}"
    key, _, value = word.partition(":")  # as in YAML
    if not value:
        value = following[0] if following and "=" not in following[0] and following[0][:1] != "-" else "..."
    return f"'{word}' has no =. {_as_key(key, value.strip(), config_name, arguments)}"


def _chosen_from(config_name: str) -> Iterable[str]:
    """The groups that a command chooses from."""
    return training_groups() if config_name in TRAINING else CONVERSION if config_name == "convert" else ()


def _path(path: str, config_name: str) -> str:
    """By which key a command takes a file or a folder, in a sentence; nothing where it takes none such."""
    own, file = list(OmegaConf.load(CONF / f"{config_name}.yaml")), checkpoint_at(path)
    if file is not None and "checkpoint" in own:
        return did_you_mean([f"checkpoint={file}"])
    if file is not None and config_name == "train":
        run = "<its run's folder>" if file == path else path
        return f"resume={run} goes on with the run, weights={file} starts another from its weights"
    if Path(path).exists() and "source" in own:
        return did_you_mean([f"source={path}"])
    return did_you_mean([f"data.root={path}"]) if Path(path).is_dir() and config_name in TRAINING else ""
