"""Deterministic weights for Detectron2's, MMDetection's and ConvNeXt's names: a function of key, shape and layout.

Rule (float32 but for num_batches_tracked): n = Generator(Philox(key=crc32(name))).standard_normal(shape), scaled by
what the key is.
"""

import zlib

import numpy as np

GAINS = {
    "detectron2": {
        "rpn_head.objectness_logits.": 0.2,
        "rpn_head.anchor_deltas.": 0.03,
        "box_predictor.cls_score.": 0.5,
        "box_predictor.bbox_pred.": 0.03,
        "mask_head.predictor.": 0.3,
        "bottom_up.stem.conv1.": 1 / 58,  # reads pixels of standard deviation 58
    },
    "mmdetection": {
        "rpn_head.rpn_cls.": 0.2,
        "rpn_head.rpn_reg.": 0.03,
        "bbox_head.fc_cls.": 0.5,
        "bbox_head.fc_reg.": 0.03,
        "mask_head.conv_logits.": 0.3,
    },
    "convnext": {},
}
# Biases of the six classification logits (background last), so that no class wins everywhere.
CLASS_BIAS = {"detectron2": [-1.7, -4.9, 3.2, 0.3, 1.4, 0.6], "mmdetection": [0.0, 5.2, -5.1, -7.2, -2.6, -4.6]}
LAST_NORM = {"detectron2": ".conv3.norm.", "mmdetection": ".bn3.", "convnext": "none"}


def peer_array(name, shape, layout):
    shape = tuple(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if "cell_anchors" in name:  # Detectron2's buffer; by level, ratios 0.5 1 2 (height / width)
        size = 32.0 * 2 ** int(leaf)
        w = np.sqrt(size**2 / np.array([0.5, 1.0, 2.0]))
        h = size**2 / w
        return (np.stack((-w, -h, w, h), axis=1) / 2).astype(np.float32).reshape(shape)
    if name.endswith(("cls_score.bias", "fc_cls.bias")):
        return np.array(CLASS_BIAS[layout], np.float32).reshape(shape)
    n = np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode()))).standard_normal(shape).astype(np.float32)
    if leaf == "running_var":
        return (1 + 0.1 * np.abs(n)).astype(np.float32)
    if leaf == "running_mean":
        return (0.1 * n).astype(np.float32)
    if len(shape) >= 2:
        gain = next((g for part, g in GAINS[layout].items() if part in name), 1.0)
        return (n * gain * np.sqrt(2.0 / int(np.prod(shape[1:])))).astype(np.float32)
    if leaf == "weight":  # normalisation scale
        s = 0.25 if LAST_NORM[layout] in name else 1.0
        return (s * (1 + 0.1 * n)).astype(np.float32)
    return (0.1 * n).astype(np.float32)  # biases
