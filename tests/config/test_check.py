"""What the configuration check accepts and what it says of the rest."""

from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from maskrcnn.config.build import build
from maskrcnn.config.check import check_call, check_nodes, resolve_target
from maskrcnn.config.compose import check, compose, to_plain
from maskrcnn.config.groups import CONF, groups
from maskrcnn.config.meaning import meaning, read_target
from maskrcnn.config.suggest import suggest
from maskrcnn.engine.train import train
from maskrcnn.modeling.box_head import BoxHead


def checked(*overrides: str) -> dict[str, Any]:
    plain = to_plain(compose(overrides))
    check(plain, train)
    return plain


def choices() -> list[str]:
    found = []
    for path in sorted(CONF.glob("*/*.yaml")):
        group = path.parent.name
        if group in ("from", "to"):  # of convert.yaml, not of train.yaml
            continue
        found.append(f"{group}={path.stem}")
    return found


@pytest.mark.parametrize("choice", choices())
def test_every_choice_composes_and_passes(choice: str) -> None:
    missing = OmegaConf.missing_keys(compose([choice]))
    plain = checked(choice, *(f"{key}=somewhere" for key in missing))
    model = build(plain["model"], [])(3, 3)
    assert model.rpn.objectness.out_channels == model.anchors.per_cell
    assert model.box_head.logits.out_features == 3 + 1


@pytest.mark.parametrize("group", groups())
def test_every_group_offers_at_least_one_choice_and_the_model_groups_two(group: str) -> None:
    model_groups = {"backbone", "neck", "anchors", "rpn", "sampler", "pooler", "box_head", "mask_head"}
    assert len(list((CONF / group).glob("*.yaml"))) >= (2 if group in model_groups else 1)


def test_a_choice_changes_what_it_names_and_nothing_else() -> None:
    before, after = checked(), checked("backbone=resnet101")
    assert after["model"]["backbone"]["layers"] == [3, 4, 23, 3]
    del before["model"]["backbone"], after["model"]["backbone"], before["run_dir"], after["run_dir"]
    before["callbacks"] = after["callbacks"] = before["logger"] = after["logger"] = {}  # they hold run_dir
    assert before == after


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.rpn.nms_tresh=0.5", r"unknown key 'model\.rpn\.nms_tresh'\. Did you mean model\.rpn\.nms_threshold"),
        ("optimiser.lr=0.5", r"unknown key 'optimiser\.lr'\. Did you mean optimizer\.lr"),
        ("bacbone=resnet50", r"unknown key 'bacbone'\. Did you mean backbone"),
        ("backbone=resnet10", r"resnet101"),
        ("+model.rpn.nms_tresh=0.5", r"unknown key 'model\.rpn\.nms_tresh'\. Did you mean nms_threshold"),
        ("+sed=3", r"unknown key 'sed'\. Did you mean seed"),
        ("+model.neck.in_channels=3", r"unknown key 'model\.neck\.in_channels'"),
        (
            "+trainer.max_epoch=3",
            r"unknown key 'trainer\.max_epoch': pytorch_lightning\.Trainer.*Did you mean max_epochs",
        ),
        ("seed=abc", r"'seed' is 'abc', but must be int"),
        ("seed=null", r"'seed' is None, but must be int"),
        (
            "model.backbone.norm=batchnorm",
            r"'model\.backbone\.norm' is 'batchnorm', but must be one of frozen, batch, group",
        ),
        ("optimizer.lr=[1]", r"'optimizer\.lr' is \[1\], but must be float"),
        ("trainer.max_epochs=three", r"^'trainer\.max_epochs' is 'three', but must be int or null$"),
        (
            "trainer.precision=fp8",
            r"must be one of 64, 32, 16, transformer-engine, [\w, -]*, bf16-mixed, 32-true, 64-true, bf16 or null$",
        ),
        ("loss_weights.mask=2x", r"^'loss_weights\.mask' is '2x', but must be float$"),
        ("data=nuclei", r"'data\.root' must be given: data\.root="),
        ("+optimizer.algorithm.momentun=0.9", r"unknown key 'optimizer\.algorithm\.momentun': torch\.optim\.AdamW"),
    ],
)
def test_what_is_mistyped_is_refused_with_what_was_meant(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked(override)


def test_free_lists_and_experiment_files_are_checked_too(tmp_path: Any) -> None:
    plain = checked()
    plain["data"]["transforms"] = [{"_target_": "albumentations.HorizontalFlip", "probability": 1.0}]
    with pytest.raises(
        ValueError, match=r"unknown key 'data\.transforms\[0\]\.probability': albumentations\.HorizontalFlip"
    ):
        check(plain, train)
    plain = checked()
    plain["model"]["rpn"] = {**plain["model"]["rpn"], **yaml.safe_load("nms_tresh: 0.5")}
    with pytest.raises(ValueError, match=r"Did you mean nms_threshold"):
        check(plain, train)
    del plain["model"]["rpn"]["nms_tresh"], plain["model"]["rpn"]["nms_threshold"]
    with pytest.raises(ValueError, match=r"'model\.rpn\.nms_threshold' is missing"):
        check(plain, train)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "maskrcnn.start.os.system",  # a path that starts right and leads elsewhere
        "maskrcnn.cli.subprocess.run",
        "albumentations.core.serialization.os.system",
        "pytorch_lightning.callbacks.model_checkpoint.shutil.rmtree",
        "torch.optim.sgd.torch.load",
        "torch.optim.optimizer.deepcopy",  # a function of another package, imported there
    ],
)
def test_targets_outside_the_allow_list_are_refused(target: str) -> None:
    with pytest.raises(ValueError, match="x._target_"):
        resolve_target(target, "x", [])


@pytest.mark.parametrize("target", ["commands.evaluate.evaluate", "commands.verify.verify", "cli.train"])
def test_a_command_is_no_part_of_a_configuration(target: str) -> None:
    """It takes plugins of its own, so that a checkpoint that names it could run anything."""
    with pytest.raises(ValueError, match=rf"x\._target_ is 'maskrcnn\.{target}', a function that no config.* may call"):
        resolve_target(f"maskrcnn.{target}", "x", [])
    assert resolve_target("maskrcnn.data.convert.voc.read_voc", "x", []).__name__ == "read_voc"


def test_a_plugin_widens_the_allow_list_by_its_own_package_only() -> None:
    assert resolve_target("fractions.Fraction", "x", ["fractions"])(1, 2) == 0.5
    with pytest.raises(ValueError, match=r"plugins=\[fractions\]"):
        resolve_target("fractions.Fraction", "x", [])
    with pytest.raises(ValueError, match="not among"):  # a function that fractions imports from functools
        resolve_target("fractions.functools", "x", ["numbers"])


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(ValueError, match="no 'ResNett'. Did you mean ResNet"):
        resolve_target("maskrcnn.modeling.resnet.ResNett", "model.backbone", [])
    with pytest.raises(ValueError, match=r"modeling\.resnext'\. Did you mean resnet\?$"):
        resolve_target("maskrcnn.modeling.resnext.ResNet", "model.backbone", [])
    with pytest.raises(ValueError, match=r"profilers, mine\)\. Did you mean mine\? If the code is yours"):
        resolve_target("mien.Net", "model.backbone", ["mine"])
    with pytest.raises(ValueError, match="there is no module 'nowhere': start in the folder that holds it, or install"):
        resolve_target("nowhere.Net", "model.backbone", ["nowhere"])
    assert suggest("wram_up", ["warm_up", "gamma"]) == "Did you mean warm_up?"


def function(*, a: int, b: list[float] | None, c: tuple[int, int], d: dict[str, bool]) -> None:
    """A target whose annotations cover the containers."""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": 1, "b": [1, 0.5], "c": [1, 2], "d": {"x": True}}, None),
        ({"a": True, "b": None, "c": [1, 2], "d": {}}, "'k.a' is True, but must be int"),
        ({"a": 1.5, "b": None, "c": [1, 2], "d": {}}, "'k.a' is 1.5"),
        ({"a": 1, "b": ["x"], "c": [1, 2], "d": {}}, "'k.b'"),
        ({"a": 1, "b": None, "c": [1, 2, 3], "d": {}}, "'k.c'"),
        ({"a": 1, "b": None, "c": [1, 2], "d": {"x": 1}}, "'k.d.x' is 1, but must be true or false"),
    ],
)
def test_values_must_fit_annotations(values: dict[str, Any], message: str | None) -> None:
    if message is None:
        check_call(function, values, "k")
        return
    with pytest.raises(ValueError, match=message):
        check_call(function, values, "k")


def test_a_key_that_a_part_of_ones_own_lacks_may_come_from_the_file_it_starts_from() -> None:
    values = {"a": 1, "b": None, "c": [1, 2], "d": {}, "features": [8]}
    for target, more in (("mine.Trunk", True), ("maskrcnn.modeling.box_head.ConvFCTrunk", False)):
        with pytest.raises(ValueError, match=r"^unknown key 'k.features'\. Known: a, b, c, d\.") as raised:
            check_call(function, {"_target_": target, **values}, "k")
        assert str(raised.value).endswith("they are merged; copy that file instead") == more


def test_a_part_of_ones_own_that_lacks_a_value_is_told_where_it_may_come_from() -> None:
    for values, name, remedy in (
        ({"depth": 1}, "width", "add it to its file; or, if the program gives it by position, add '_partial_: true'"),
        ({"_partial_": True}, "depth", "add it to its file, or give it a default in made, which checkpoints from "
         "before it need"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as raised:
            check_call(made, {"_target_": "mine.made", **values}, "k")
        assert str(raised.value) == f"'k.{name}' is missing: {remedy}"


def test_hydras_other_special_keys_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'x\._args_' is not supported"):
        check_nodes({"x": {"_target_": "maskrcnn.modeling.fpn.FPN", "_args_": [1]}}, "", [])


def test_an_error_of_a_constructor_comes_with_its_key() -> None:
    node = {
        "_target_": "maskrcnn.engine.optimizer.MultiStep",
        "warmup_steps": 1,
        "warmup_start": 0.1,
        "milestones": [8],
        "gamma": 0.1,
    }
    with pytest.raises(ValueError, match=r"^schedule\.milestones are shares of the run"):
        build({"schedule": node}, [])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "albumentations.Affine", "p": 1.5}, "k: p: Input should be less than or equal to 1"),
        (
            {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "a", "mode": "mx"},
            "k: `mode` can be min, max, got mx",
        ),
    ],
)
def test_errors_of_others_constructors_are_one_line_with_the_key(node: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        build({"k": node}, [])
    assert str(raised.value) == message


def test_an_unknown_choice_of_a_group_gets_the_choices() -> None:
    with pytest.raises(
        ValueError, match=r"^there is no neck=fnp\. Did you mean fpn\? Choices: fpn, fpn_no_p6, fpn_small$"
    ):
        compose(["neck=fnp"])


class Derived(BoxHead):
    """A box head with a number of its own, that hands on the others.

    Args:
        gamma: how fast it forgets.
    """

    def __init__(self, in_channels: int, num_classes: int, *, gamma: float, **rest: Any) -> None:
        super().__init__(in_channels, num_classes, **rest)
        self.gamma = gamma


class Foreign:
    """A class as others write them: `rate` comes from the part that makes it, and the rest has defaults."""

    def __init__(self, rate: float, depth: int = 3, name="x") -> None:
        self.rate, self.depth, self.name = rate, depth, name


def made(width: int, *, depth: int) -> None:
    pass


def free(width: int, **others: Any) -> None:
    """Takes anything."""


def test_a_part_that_hands_on_keywords_has_those_of_the_class_that_it_derives_from() -> None:
    plain = to_plain(compose(["+model.box_head.gamma=2.0", "model.box_head._target_=test_check.Derived"]))
    check_nodes(plain, "", ["test_check"])
    head = build(plain["model"], ["test_check"])(3, 3).box_head
    assert (head.gamma, head.pool_size, head.max_detections) == (2.0, 7, 30)
    for change, message in (
        ({"nms_tresh": 0.5}, r"^unknown key 'k\.nms_tresh'\. Did you mean nms_threshold\?"),
        ({"pool_size": 7.5}, r"^'k\.pool_size' is 7\.5, but must be int$"),
        ({"gamma": "2"}, r"^'k\.gamma' is '2', but must be float$"),
    ):
        with pytest.raises(ValueError, match=message):
            check_nodes({"k": {**plain["model"]["box_head"], **change}}, "", ["test_check"])
    del plain["model"]["box_head"]["pre_nms"]
    with pytest.raises(ValueError, match=r"^'model\.box_head\.pre_nms' is missing"):
        check_nodes(plain, "", ["test_check"])
    target = read_target("test_check.Derived", "k", ["test_check"])
    assert meaning(target, "gamma") == "how fast it forgets."
    assert meaning(target, "pre_nms") == "best (region, class) pairs of an image that enter NMS."
    assert target.parameters["pre_nms"].type == "int"


def test_of_others_classes_what_may_come_by_position_is_chosen_too() -> None:
    node = {"_target_": "test_check.Foreign", "rate": 0.5, "depth": 2}
    check_nodes(node, "k", ["test_check"])
    assert vars(build(node, ["test_check"])) == {"rate": 0.5, "depth": 2, "name": "x"}
    check_nodes({"_target_": "test_check.Foreign", "_partial_": True, "depth": 2}, "k", ["test_check"])
    check_nodes({"_target_": "test_check.free", "width": 2, "height": 3}, "k", ["test_check"])
    for change, message in (
        (
            {"_partial_": True},
            r"^'k\.rate' is given to Foreign by position, by the part that makes it: put `\*` before it",
        ),
        ({"dept": 2}, r"^unknown key 'k\.dept'\. Did you mean depth\?"),
        ({"depth": "2"}, r"^'k\.depth' is '2', but must be int$"),
    ):
        with pytest.raises(ValueError, match=message):
            check_nodes({**node, **change}, "k", ["test_check"])
    with pytest.raises(ValueError, match=r"^'k\.rate' is missing"):
        check_nodes({"_target_": "test_check.Foreign"}, "k", ["test_check"])
