"""What the configuration says of slips that new users make: each answer names what was meant."""

from pathlib import Path

import pytest
from omegaconf.errors import OmegaConfBaseException

from maskrcnn.commands.evaluate import evaluate
from maskrcnn.config.complaint import complain, dashes, unchosen
from maskrcnn.config.compose import check, compose, to_plain
from maskrcnn.config.groups import CONF, groups
from maskrcnn.config.habits import HABITS
from maskrcnn.config.nested import keys
from maskrcnn.config.suggest import suggest_key
from maskrcnn.engine.train import train

SLIPS = {
    # a right name in a wrong place
    "lr=0.1": "unknown key 'lr'. Did you mean optimizer.lr?",
    "+lr=0.1": "unknown key 'lr'. Did you mean optimizer.lr?",
    "batch_size=4": "unknown key 'batch_size'. Did you mean data.batch_size?",
    "max_epochs=10": "unknown key 'max_epochs'. Did you mean trainer.max_epochs?",
    "trainer.batch_size=4": "unknown key 'trainer.batch_size'. Did you mean data.batch_size?",
    "rpn.nms_threshold=0.7": "unknown key 'rpn.nms_threshold'. Did you mean model.rpn.nms_threshold?",
    "nms_threshold=0.7": "unknown key 'nms_threshold'. Did you mean model.box_head.nms_threshold or "
    "model.rpn.nms_threshold?",
    "backbone.norm=frozen": "unknown key 'backbone.norm'. Did you mean model.backbone.norm?",
    "output=x": "unknown key 'output'. It is a key of evaluate.py, predict.py, export.py, inspect_data.py",
    "trainer.overfit_batches=2": "unknown key 'trainer.overfit_batches'. debug=overfit learns a few pictures by heart",
    # another framework's name
    "epochs=10": "unknown key 'epochs'. Did you mean trainer.max_epochs?",
    "trainer.epochs=10": "unknown key 'trainer.epochs'. Did you mean trainer.max_epochs?",
    "max_iter=10": "unknown key 'max_iter'. Did you mean trainer.max_steps?",
    "trainer.early_stopping=true": "unknown key 'trainer.early_stopping'. Did you mean callbacks=early_stopping?",
    "input_size=512": "unknown key 'input_size'. Did you mean data.resize.shortest and data.resize.longest?",
    "device=cuda": "unknown key 'device'. Did you mean trainer=gpu?",
    "gpus=1": "unknown key 'gpus'. Did you mean trainer=gpu trainer.devices=...?",
    "num_classes=3": "unknown key 'num_classes'. The classes come from the annotation file.",
    "data.num_workers=4": "unknown key 'data.num_workers'. Did you mean data.workers?",
    "trainer.gpus=1": "unknown key 'trainer.gpus'. Did you mean trainer=gpu trainer.devices=...?",
    "optimizer.momentum=0.9": "unknown key 'optimizer.momentum'. It is optimizer.algorithm.momentum, of optimizer=sgd.",
    "callbacks.early_stopping.patience=3": "unknown key 'callbacks.early_stopping.patience'. Did you mean to add "
    "callbacks=early_stopping?",
    "optimizer.learning_rate=0.1": "unknown key 'optimizer.learning_rate'. Did you mean optimizer.lr?",
    "num_epochs=10": "unknown key 'num_epochs'. Did you mean trainer.max_epochs?",
    "random_seed=1": "unknown key 'random_seed'. Did you mean seed?",
    "data_root=x": "unknown key 'data_root'. Did you mean data.root?",
    "steps=9": "unknown key 'steps'. Did you mean trainer.max_steps or schedule.warmup_steps or "
    "trainer.log_every_n_steps or callbacks.last.every_n_steps?",
    "trainer.amp=true": "unknown key 'trainer.amp'. Did you mean trainer.precision?",
    "SOLVER.BASE_LR=0.02": "unknown key 'SOLVER.BASE_LR'. Did you mean optimizer.lr?",
    "SOLVER.WEIGHT_DECAY=0": "unknown key 'SOLVER.WEIGHT_DECAY'. Did you mean optimizer.weight_decay?",
    "MODEL.RPN.NMS_THRESH=0.7": "unknown key 'MODEL.RPN.NMS_THRESH'. Did you mean model.rpn.nms_threshold?",
    "DATALOADER.NUM_WORKERS=4": "unknown key 'DATALOADER.NUM_WORKERS'. Did you mean data.workers?",
    "train_cfg.val_interval=1": "unknown key 'train_cfg.val_interval'. Did you mean trainer.check_val_every_n_epoch?",
    "SOLVER.STEPS=[1,2]": "unknown key 'SOLVER.STEPS'. Did you mean schedule=multistep?",
    "backbone.depth=50": "unknown key 'backbone.depth'. It is chosen with the backbone: backbone=resnet18 to "
    "backbone=resnet152.",
    "hsv_h=0.1": "unknown key 'hsv_h'. Did you mean augmentation=photometric?",
    "mosaic=1": "unknown key 'mosaic'. There is none; augmentation=copy_paste puts objects of other pictures in.",
    "cache=ram": "unknown key 'cache'. Pictures are read anew each time, by data.workers processes.",
    "ckpt=x": "unknown key 'ckpt'. weights=x.ckpt starts from its weights, resume=<its run's folder> goes on with the "
    "run.",
    "logger=tensorboard": "there is no logger=tensorboard: logger=default, which is chosen unless you change it, "
    "writes TensorBoard's files",
    # what a choice is called, or has
    "ema=true": "unknown key 'ema'. Did you mean callbacks=ema?",
    "optimizer=SGD": "there is no optimizer=SGD. Did you mean sgd? Choices: adamw, sgd",
    "patience=5": "unknown key 'patience'. It is callbacks.early_stopping.patience, of callbacks=early_stopping.",
    "train_images=x": "unknown key 'train_images'. It is data.source.train_images, of data=coco or data=coco_custom or "
    "data=nuclei.",
    # a mistyped name
    "optimzer=sgd": "unknown key 'optimzer'. Did you mean optimizer?",
    "optimiser.lr=1": "unknown key 'optimiser.lr'. Did you mean optimizer.lr?",
    "dataset=coco": "unknown key 'dataset'. Did you mean data?",
    "data.batchsize=2": "unknown key 'data.batchsize'. Did you mean data.batch_size or data.val_batch_size?",
    "model.rpn.nms_tresh=0.7": "unknown key 'model.rpn.nms_tresh'. Did you mean model.rpn.nms_threshold?",
    "model.backbon=3": "unknown key 'model.backbon'. Did you mean model.backbone?",
    "model.bakbone.norm=batch": "unknown key 'model.bakbone.norm'. Did you mean model.backbone.norm?",
    # a key below what is null
    "data.stretch.gamma=0.5": "unknown key 'data.stretch.gamma'. data.stretch is null, and so has no keys; "
    "explain=data.stretch says what set it",
    "debug=profile callbacks.best.monitor=bbox/AP": "unknown key 'callbacks.best.monitor'. callbacks.best is null, and "
    "so has no keys; explain=callbacks.best says what set it",
    "callbacks.receipt=null callbacks.receipt.every_n_steps=2": "unknown key 'callbacks.receipt.every_n_steps'. "
    "callbacks.receipt=null takes it away: leave out one of the two",
    "~foo": "unknown key 'foo'. See --help for all keys",
    "+optimizer.lr=1": "+optimizer.lr=1: the key is there already, which is changed without +: optimizer.lr=1",
    "+foo=1": "unknown key 'foo'. See --help for all keys",
    "++model.neck.foo=1": "unknown key 'model.neck.foo'. Known: channels, extra_level, norm, norm_eps.",
    "~optimizer.lr": "'optimizer.lr' is missing: add it to its file, let a file of your own start from a complete one "
    "(defaults: [<another choice of its group>, _self_]), or leave out the ~ that removed it",
    "hydra/sampler=optuna": "unknown key 'hydra/sampler'. Hydra's own choices are hydra/launcher and hydra/sweeper. "
    "To search with Optuna: python search.py 'space={optimizer.lr: {low: 1e-4, high: 1e-2}}'",
    "callbacks={ema:1}": "unknown key 'callbacks'. It chooses one of default, early_stopping, ema; single keys are "
    "callbacks.KEY=..., new ones +callbacks.KEY=...",
    # a key that a library takes, but no file gives
    "trainer.benchmark=true": "unknown key 'trainer.benchmark'. It is not in the files, but can be added: "
    "+trainer.benchmark=true",
    "trainer.determinstic=true": "unknown key 'trainer.determinstic'. Did you mean trainer.deterministic?",
    "from=yolo": "unknown key 'from'. It is a group of convert_data.py: python convert_data.py from=yolo",
    # choices of groups
    "neck=fnp": "there is no neck=fnp. Did you mean fpn? Choices: fpn, fpn_no_p6, fpn_small",
    "backbone=r50": "there is no backbone=r50. Did you mean resnet50 or resnext50_32x4d? Choices: convnext_base, "
    "convnext_small, convnext_tiny, resnet101, resnet152, resnet18, resnet34, resnet50, resnext101_32x8d, "
    "resnext50_32x4d, tiny",
    "trainer=cuda": "there is no trainer=cuda. Choices: cpu, ddp, gpu; a file of your own, trainer/cuda.yaml, needs "
    "--config-dir=<the folder above>",
    # another part in the place of one
    "data.resize={_target_:mine.Double,factor:2}": "data.resize: what is given is added to the part that is there, "
    "which has other keys; ~data.resize '+data.resize={_target_:mine.Double,factor:2}' replaces it",
    "data.resize={longets:300}": "unknown key 'data.resize.longets'. Did you mean data.resize.longest?",
    "box_head=": "there is no box_head=. Choices: conv_fc, fc, small",
    "model/backbone=resnet50": "unknown key 'model/backbone'. Did you mean backbone=resnet50?",
    "model.backbone=resnet50": "'model.backbone' holds values, not a choice. Did you mean backbone=resnet50?",
    # values and quotes
    "data.resize.shortest=240": "'data.resize.shortest' is 240, but must be a list, each int: give "
    "'data.resize.shortest=[240]'",
    "optimizer.lr= 0.1": "there is a space in optimizer.lr= 0.1: leave it out",
    "backbone": "'backbone' has no =. Did you mean backbone=...?",
    "resnet101": "'resnet101' stands without a key. Did you mean backbone=resnet101?",
    "backbone resnet50": "'backbone' has no =. Did you mean backbone=resnet50?",
    "seed -m": "'seed' has no =. Did you mean seed=...?",
    "optimizer.lr = 0.1": "there is a space in optimizer.lr =: leave it out",
    "optimizer.lr =0.1": "there is a space in optimizer.lr =0.1: leave it out",
    "optimizer.lr\t=\tabc": "cannot read optimizer.lr\t=\tabc. Did you mean optimizer.lr=abc?",
    "optimizer.lr:0.1": "'optimizer.lr:0.1' has no =. Did you mean optimizer.lr=0.1?",
    "epochs 10": "'epochs' has no =. Did you mean trainer.max_epochs?",
    "optimizer.lr=1 0.2": "'0.2' has no =. See --help for all keys",
    "verify": "'verify' has no =. Did you mean verify=...?",
    "optimizer.lr=0.1,": "cannot read optimizer.lr=0.1,. Did you mean optimizer.lr=0.1?",
    "optimizer,lr=0.1": "cannot read optimizer,lr=0.1. Did you mean optimizer.lr=0.1?",
    "\u201coptimizer.lr=0.1\u201d": 'cannot read \u201coptimizer.lr="0.1\u201d". Did you mean optimizer.lr=0.1?',
    "conf/experiment/nuclei.yaml": "'conf/experiment/nuclei.yaml' stands without a key. Did you mean "
    "experiment=nuclei?",
    "neck=conf/neck/fpn.yaml": "there is no neck=conf/neck/fpn.yaml. Did you mean fpn? Choices: fpn, fpn_no_p6, "
    "fpn_small",
    "Seed=1": "unknown key 'Seed'. Did you mean seed?",
    "config_dir=conf": "unknown key 'config_dir'. Did you mean --config-dir?",
    "a/last.ckpt": "'a/last.ckpt' stands without a key. resume=<its run's folder> goes on with the run, "
    "weights=a/last.ckpt starts another from its weights",
    "checkpoint=a.ckpt": "unknown key 'checkpoint'. weights=x.ckpt starts from its weights, resume=<its run's folder> "
    "goes on with the run.",
    "seed==1": "cannot read seed==1. Did you mean seed=1?",
    "resume=runs/a,b": "resume=runs/a,b holds a comma: a text needs two pairs of quotes, 'resume=\"runs/a,b\"'. "
    "A sweep needs -m: -m resume=runs/a,b",
    "seed=0,1": "seed=0,1 holds a comma. A sweep needs -m: -m seed=0,1",
    "data.resize.shortest=240,300": "data.resize.shortest=240,300 holds a comma. A list needs brackets: "
    "'data.resize.shortest=[240,300]'; a sweep needs -m: -m data.resize.shortest=240,300",
    "optimizer.lr=0,01": "optimizer.lr=0,01: a number has a decimal point: optimizer.lr=0.01. A sweep needs -m: "
    "-m optimizer.lr=0,01",
    "data.fraction='0,5'": "'data.fraction' is '0,5', but must be float: a number has a decimal point: "
    "data.fraction=0.5",
    "data.root=/a,b": "data.root=/a,b holds a comma: a text needs two pairs of quotes, 'data.root=\"/a,b\"'. A sweep "
    "needs -m: -m data.root=/a,b",
    "callbacks=ema,early_stopping": "callbacks=ema,early_stopping holds a comma. All of them at once need brackets: "
    "'callbacks=[ema,early_stopping]'; a sweep needs -m: -m callbacks=ema,early_stopping",
    "neck=fpn,fpn_small": "neck=fpn,fpn_small holds a comma. A sweep needs -m: -m neck=fpn,fpn_small",
    "data.canvases=[[192, 256]]": "data.canvases=[[192, ends in the middle of a list. Put quotes around all of it: "
    "'data.canvases=[[192, 256]]'",
    "data.canvases=[[192,256]": "data.canvases=[[192,256] has 2 opening and 1 closing brackets",
    "data=coco_custom data.root=a\tdata.fold=1": "'data.root=a\tdata.fold=1' holds several overrides in one argument, "
    "as data.fold= shows: leave out the quotes around them; a variable with several is an array, "
    'data=(key=value key=value), and given as "${data[@]}"',
    "data.class_map={größe:[star]}": 'data.class_map={"größe":[star]}: a key such as größe can only be given in a '
    "file, as Hydra reads ASCII there",
    "run_dir=it's": """cannot read run_dir=it's. A value with one of =,:'[]{}() in it needs two pairs of quotes: """
    """'run_dir="it'"'"'s"'""",
    "run_dir=a=b": "cannot read run_dir=a=b. A value with one of =,:'[]{}() in it needs two pairs of quotes: "
    "'run_dir=\"a=b\"'",
    # all that is missing at once
    "data=coco_custom": "'data.source.train_images', 'data.source.train_annotations', 'data.source.val_images', "
    "'data.source.val_annotations' must be given: data.source.train_images=... data.source.train_annotations=... "
    "data.source.val_images=... data.source.val_annotations=...",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_answered_with_what_was_meant(slip: str) -> None:
    with pytest.raises(ValueError) as raised:
        check(to_plain(compose(slip.split(" "))), train)
    assert str(raised.value) == SLIPS[slip]


@pytest.mark.parametrize(
    ("slip", "answer"),
    [
        (
            "model=maskrcnn",
            "model=maskrcnn: model holds several keys; change one of them, such as "
            "model.mask_head.target_sampling, or choose a part by anchors=, backbone=, box_head=, mask_head=, "
            "neck=, pooler=, rpn=, sampler=",
        ),
        (
            "model.box_head=null",
            "model.box_head=null: callbacks.mean_ap.max_detections follows a key below model.box_head, so that it has "
            "to stay",
        ),
        ("~data", "~data: other keys need what it takes away; give data another value instead"),
        ("resume=true", "resume=true: give the folder of a run, auto, or null"),
    ],
)
def test_what_other_keys_refer_to_stays(slip: str, answer: str) -> None:
    with pytest.raises(OmegaConfBaseException) as raised:
        to_plain(compose([slip]))
    assert complain(raised.value, "train", ["~callbacks.pictures", slip]) == answer


def test_a_second_choice_of_a_group_is_told_how_to_replace_the_first() -> None:
    with pytest.raises(ValueError) as raised:
        compose(["+backbone=resnet50"])
    assert str(raised.value) == (
        "+backbone=resnet50: a choice is there already, which is changed without +: backbone=resnet50"
    )


@pytest.mark.parametrize("slip", ["format=onnx", "onnx=true"])
def test_export_says_how_to_write_onnx(slip: str) -> None:
    with pytest.raises(ValueError, match=r"'(format|onnx)'\. The name says the format: output=model\.onnx writes ONNX"):
        compose(["checkpoint=x", slip], "export")


def test_convert_names_its_groups_among_its_keys() -> None:
    with pytest.raises(ValueError, match=r"'format'\. Known: from, to, source, out, read, plugins, write$"):
        compose(["format=coco"], "convert")


def test_what_hydra_raised_is_left_out_of_the_traceback() -> None:
    with pytest.raises(ValueError) as raised:
        compose(["lr=0.1"])
    assert raised.value.__suppress_context__ and raised.value.__cause__ is None


def test_a_folder_of_choices_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^config_dir: there is no folder .*nowhere$"):
        compose([], config_dir=tmp_path / "nowhere")


def test_overrides_are_a_list() -> None:
    with pytest.raises(ValueError, match=r"^overrides are a list: compose\(\['backbone=resnet101'\]\)$"):
        compose("backbone=resnet101")


def test_a_group_is_given_a_name() -> None:
    assert unchosen(["seed=0", "neck=50"]) == "neck=50: give one of fpn, fpn_no_p6, fpn_small, or leave it out"
    assert unchosen(["debug=null"]) == "debug=null: give one of fast, overfit, profile, or leave it out"
    assert unchosen(["neck=fpn,fpn_small", "logger=[csv,wandb]", "backbone=nowhere", "-m", "data=[a"]) is None


def test_a_callback_that_another_follows_goes_with_it() -> None:
    with pytest.raises(OmegaConfBaseException) as raised:
        to_plain(compose(["callbacks.mean_ap=null"]))
    assert complain(raised.value, "train", ["callbacks.mean_ap=null"]) == (
        "callbacks.mean_ap=null: callbacks.pictures.paste follows a key below callbacks.mean_ap, so that it has to "
        "stay, unless callbacks.pictures=null is given too"
    )
    to_plain(compose(["callbacks.mean_ap=null", "callbacks.pictures=null"]))


@pytest.mark.parametrize(
    ("slips", "answer"),
    [
        (["data.root=x"], "unknown key 'data.root'. Parts are the checkpoint's; single keys change with "
         "'override=[\"data.root=x\"]'"),
        (["backbone=resnet50"], "unknown key 'backbone'. Parts are the checkpoint's; single keys change with "
         "'override=[\"model.backbone.KEY=...\"]'"),
        (["rpn.convs=2"], "unknown key 'rpn.convs'. Parts are the checkpoint's; single keys change with "
         "'override=[\"model.rpn.convs=2\"]'"),
        (["seed=1"], "unknown key 'seed'. Keys of the checkpoint change with 'override=[\"seed=1\"]'"),
        (
            ['override=["data.root=y",seed=1]'],
            "override=[\"data.root=y\",seed=1]: put quotes inside the brackets, and around all of it: "
            "'override=[\"data.root=y\",\"seed=1\"]'",
        ),
        (["override=[data.root=y]"], "override=[data.root=y]: put quotes inside the brackets, and around all of it: "
         "'override=[\"data.root=y\"]'"),
        (["score_threshold=0,3"], "score_threshold=0,3: a number has a decimal point: score_threshold=0.3"),
        (['checkpoint="ä",c'], "checkpoint=ä,c holds a comma: a text needs two pairs of quotes, 'checkpoint=\"ä,c\"'"),
        (["checkpoint=a,b"], "checkpoint=a,b holds a comma: a text needs two pairs of quotes, 'checkpoint=\"a,b\"'"),
        (["callbacks=a,b"], "callbacks=a,b holds a comma. All of them at once need brackets: 'callbacks=[a,b]'"),
        (["overide=[]"], "unknown key 'overide'. Did you mean override?"),
        (
            ["imgsz=640"],
            "unknown key 'imgsz'. Known: checkpoint, override, results, output, metrics, score_threshold, funnel, "
            "funnel_iou, slices, tta, plugins",
        ),
        (["chekpoint=x"], "unknown key 'chekpoint'. Did you mean checkpoint?"),
        (["weights=a/b.ckpt"], "unknown key 'weights'. Did you mean checkpoint=a/b.ckpt?"),
        (["resume=a"], "unknown key 'resume'. It is a key of train.py; evaluate.py takes checkpoint=<a run's folder>"
         "/checkpoints/best.ckpt"),
        (["source=a"], "unknown key 'source'. It is a key of predict.py, export.py, convert_data.py"),
        (["ckpt=x"], "unknown key 'ckpt'. Did you mean checkpoint=x?"),
        (["model=a/b.ckpt"], "unknown key 'model'. Did you mean checkpoint=a/b.ckpt?"),
        ([], "'checkpoint' must be given: checkpoint=..."),
    ],
)  # fmt: skip
def test_slips_with_a_checkpoint(slips: list[str], answer: str) -> None:
    with pytest.raises(ValueError) as raised:
        check(to_plain(compose(slips, "evaluate")), evaluate)
    assert str(raised.value) == answer


@pytest.mark.parametrize("key", ["data.source.train_picture", "optimizer.learning_rate"])
def test_inspection_answers_as_training_does(key: str) -> None:
    """It takes the same keys, and there is no checkpoint to be changed."""
    answers = []
    for name in ("train", "inspect"):
        with pytest.raises(ValueError) as raised:
            compose([f"{key}=1"], name)
        answers.append(str(raised.value))
    assert answers[0] == answers[1] and "Did you mean" in answers[0]


@pytest.mark.parametrize("habit", [habit for habit in HABITS if "Did you mean" in HABITS[habit]])
def test_what_is_offered_for_habits_of_other_frameworks_is_there(habit: str) -> None:
    answer = HABITS[habit].removeprefix("Did you mean ").removesuffix("?")
    choices = {f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml")}
    offered = {word.removesuffix("=...") for word in answer.replace(" and ", " ").split()}
    assert offered <= {*choices, *keys(to_plain(compose())), "trainer.devices"}  # the last one of trainer=gpu


def test_options_that_are_keys_lose_their_dashes() -> None:
    given = "keys are given as key=value, without dashes"
    assert dashes(["-m", "--seed=1"], "train") == f"--seed=1: {given}. Did you mean seed=1?"
    assert "takes no other key than plugins" in str(dashes(["verify=x", "--seed=1"], "verify"))
    assert dashes(["--lr=1"], "train") == f"--lr=1: {given}. Did you mean optimizer.lr?"
    assert dashes(["--config-dir=conf", "--cfg=job", "-m", "seed=1", "optimizer.lr=-1"], "train") is None
    assert dashes(["seed=1", "--epochs", "3"], "train") == f"--epochs: {given}. Did you mean trainer.max_epochs?"
    assert dashes(["--batch-size", "3"], "train") == f"--batch-size: {given}. Did you mean data.batch_size?"
    assert dashes(["-x"], "train") == f"-x: {given}. See --help for all keys"
    assert dashes(["--batch-size", "3"], "predict") == f"--batch-size: {given}. Did you mean batch_size=3?"
    assert dashes(["\u2014seed=1"], "train") == f"\u2014seed=1: {given}. Did you mean seed=1?"
    assert dashes(["-m", "-cd", "conf", "--cfg", "job", "--package", "data", "seed=1"], "train") is None


@pytest.mark.parametrize("option", ["--config_dir=conf", "--config_dir", "--configdir=conf", "\u2013-config-dir=conf"])
def test_an_option_that_is_written_otherwise_is_named(option: str) -> None:
    assert (
        dashes(["seed=1", option, "conf"], "train") == f"{option}: there is no such option. Did you mean --config-dir?"
    )


def test_a_word_of_other_frameworks_is_known_where_it_is_added_too() -> None:
    with pytest.raises(ValueError, match=r"^unknown key 'learning_rate'\. Did you mean optimizer\.lr\?$"):
        check(to_plain(compose(["+learning_rate=0.1"])), train)


def test_suggestions_hold_no_key_twice() -> None:
    assert suggest_key("optimzer", ["optimizer", "optimizer", "optimizer.lr"]) == "Did you mean optimizer?"
    assert suggest_key("a.b", ["x.y"]) == ""


def test_a_key_of_another_depth_is_suggested_where_no_sibling_is_near() -> None:
    known = keys(to_plain(compose()))
    assert suggest_key("data.val_images", known) == "Did you mean data.source.val_pictures?"
    assert suggest_key("data.worker", known) == "Did you mean data.workers?"


def test_groups_know_where_their_files_belong() -> None:
    assert groups()["backbone"] == "model.backbone"
    assert groups()["augmentation"] == "data" and groups()["data"] == "data" and groups()["debug"] == "_global_"
    for path in CONF.glob("*/*.yaml"):
        group = path.parent.name
        header = path.read_text().partition("\n")[0]
        assert header.startswith("# @package") == (groups()[group] != group), path
        assert not header.startswith("# @package") or header == f"# @package {groups()[group]}", path


HEADLESS = (
    "the values of 'neck' lie at the top level instead of at 'model.neck': "
    "the first line of a file of yours in this group must be '# @package model.neck'."
)


@pytest.mark.parametrize("more", [[], ["model.neck.channels=16"], ["neck.channels=16"]])
def test_a_file_without_its_header_is_told_which_one_to_add(more: list[str], tmp_path: Path) -> None:
    (tmp_path / "neck").mkdir()
    (tmp_path / "neck" / "mine.yaml").write_text((CONF / "neck" / "fpn.yaml").read_text().partition("\n")[2])
    search = f"hydra.searchpath=['file://{tmp_path}']"
    with pytest.raises(ValueError) as raised:
        check(to_plain(compose([search, "neck=mine", *more])), train)
    assert HEADLESS in str(raised.value)
    (tmp_path / "neck" / "mine.yaml").write_text((CONF / "neck" / "fpn.yaml").read_text())
    check(to_plain(compose([search, "neck=mine", "model.neck.channels=16"])), train)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("# @package _global_\ndefaults: [/neck: fpn]\n", "neck is chosen already; {neck: ...}"),
        ("defaults: [override /neck: fpn]\n", "experiment/own.yaml: {neck: ...}"),
        ("# @package _global_\ndefaults: [override neck: fpn]\n", "experiment/own.yaml: {neck: ...}"),
        ("# @package _global_\ndefaults: [override /model.neck: fpn]\n", "experiment/own.yaml: {neck: ...}"),
        ("# @package _global_\ndefaults: [neck: fpn]\n", "experiment/own.yaml: {neck: fpn}"),
        ("# @package _global_\nneck: fpn\n", "neck: fpn chooses nothing where it stands; {neck: fpn}"),
        ("# @package _global_\nmodel: {box_head: fc}\n", "model.box_head holds several keys, but is given a single "
         "value; {box_head: ...}"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_choose_as_files_do_is_told_how(text: str, answer: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text(text)
    with pytest.raises((ValueError, OmegaConfBaseException)) as raised:
        check(to_plain(compose(["experiment=own"], config_dir=tmp_path)), train)
    said = str(raised.value)
    if isinstance(raised.value, OmegaConfBaseException):
        said = complain(raised.value, "train", ["experiment=own"])
    begin, _, choice = answer.rstrip("}").partition("{")
    assert said == (
        f"{begin}a file of yours chooses by '- override /{choice}' in its defaults, and its first line is "
        "'# @package _global_'"
    )


def test_verify_takes_the_runs_own_configuration() -> None:
    with pytest.raises(ValueError, match=r"^verify=... replays a run under the run's own configuration; it takes no"):
        compose(["trainer.max_epochs=1"], "verify")


def test_a_folder_of_a_run_is_answered_as_the_command_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a/checkpoints").mkdir(parents=True)
    Path("a/checkpoints/best.ckpt").touch()
    model, bare = "checkpoint=a/checkpoints/best.ckpt", "'a' stands without a key. "
    answers = {
        ("evaluate", "a"): f"{bare}Did you mean {model}?",
        ("evaluate", "resume=a"): f"unknown key 'resume'. It is a key of train.py; evaluate.py takes {model}",
        ("export", "weights=a"): f"unknown key 'weights'. Did you mean {model}?",
        ("predict", "a/checkpoints"): "'a/checkpoints' stands without a key. Did you mean source=a/checkpoints?",
        ("train", "a"): f"{bare}resume=a goes on with the run, weights=a/checkpoints/best.ckpt starts another from its "
        "weights",
        ("train", "a/checkpoints"): "'a/checkpoints' stands without a key. Did you mean data.root=a/checkpoints?",
        ("search", "resume=a"): "unknown key 'resume'. It is a key of train.py",
        ("search", "space={seed=[1,2]}"): "space={seed=[1,2]}: a mapping has colons, and quotes around all of it: "
        "'space={seed: [1,2]}'",
    }
    for (name, slip), answer in answers.items():
        with pytest.raises(ValueError) as raised:
            compose([slip], name)
        assert str(raised.value) == answer


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("model.backbone.width", "Did you mean model.backbone.widths?"),  # a key of ResNets
        ("model.backbone.depth", "Known: dropout, widths."),  # a word of others
    ],
)
def test_a_key_of_a_plugin_is_compared_with_the_plugins_own(key: str, answer: str, tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "own.yaml").write_text(
        "# @package model.backbone\n_target_: mine.Net\n_partial_: true\nwidths: [1]\ndropout: 0.1\n"
    )
    with pytest.raises(ValueError) as raised:
        compose(["backbone=own", f"{key}=1"], config_dir=tmp_path)
    assert str(raised.value) == f"unknown key '{key}'. {answer}"


@pytest.mark.parametrize(
    ("slip", "answer"),
    [
        ("metrics=fixed_iou", "'metrics' is 'fixed_iou', but must be a list, each str"),
        ("metrics=fixed_iou", ": give 'metrics=[fixed_iou]'"),
        ("override=data.root", "'override' is 'data.root', but must be a list, each str: give 'override=[data.root]'"),
        (
            "override=a.b=1",
            "cannot read override=a.b=1. It is a list of texts: 'override=[\"a.b=1\"]', with both quotes",
        ),
        ("'override=\"a.b=1\"'", "give 'override=[\"a.b=1\"]'"),
        ("runs/a/best.ckpt", "'runs/a/best.ckpt' stands without a key. Did you mean checkpoint=runs/a/best.ckpt?"),
    ],
)
def test_a_list_without_brackets_and_a_bare_checkpoint_are_answered(slip: str, answer: str) -> None:
    with pytest.raises(ValueError) as raised:
        check(to_plain(compose([slip.strip("'"), "checkpoint=x"], "evaluate")), evaluate)
    assert answer in str(raised.value)
