"""What is meant by words of other frameworks that are not near ours."""

_FOREIGN = {
    "Did you mean optimizer.lr?": "learning_rate lr0 base_lr",
    "Did you mean trainer.max_epochs?": "epochs epoch",
    "debug=overfit learns a few pictures by heart": "overfit_batches",
    "Did you mean trainer.max_steps?": "max_iter iterations",
    "Did you mean schedule.warmup_steps?": "warmup warmup_epochs warmup_iters",
    "Did you mean schedule=multistep?": "lr_steps solver.steps",
    "Did you mean trainer=gpu?": "device gpu",
    "Did you mean trainer=gpu trainer.devices=...?": "gpus num_gpus",
    "Did you mean trainer.precision?": "amp fp16",
    "Did you mean trainer.gradient_clip_val?": "max_norm",
    "Did you mean trainer.check_val_every_n_epoch?": "val_interval eval_period",
    "Did you mean data.batch_size?": "ims_per_batch bs",
    "Did you mean data.root?": "data_dir data_path",
    "Did you mean data.resize.shortest and data.resize.longest?": (
        "image_size input_size img_size imgsz min_size_train max_size_train"
    ),
    "Did you mean run_dir?": "output_dir save_dir project",
    "Did you mean weights?": "pretrained load_from",
    "It is chosen with the backbone: backbone=resnet18 to backbone=resnet152.": "depth",
    "Did you mean augmentation=photometric?": "hsv_h hsv_s hsv_v",
    "There is none; augmentation=copy_paste puts objects of other pictures in.": "mosaic mixup cutmix",
    "weights=x.ckpt starts from its weights, resume=<its run's folder> goes on with the run.": (
        "ckpt ckpt_path checkpoint"
    ),
    "Pictures are read anew each time, by data.workers processes.": "cache",
    "The classes come from the annotation file.": "num_classes nc",
}
CHECKPOINT = ("ckpt", "ckpt_path", "model", "model_path")  # what others call it
CHOICES = {"logger=tensorboard": "logger=default, which is chosen unless you change it, writes TensorBoard's files"}
HABITS = {word: sentence for sentence, words in _FOREIGN.items() for word in words.split()}
