"""CIFAR-10: 50,000 images to train on, 32x32 pixels, 10 classes (Krizhevsky 2009); deep ConvNets and VGG-11.

Five models that a course report tuned by hand. Searched: learning rate, batch size, optimizer, weight decay, dropout,
batch norm momentum, depth and widths, strength of the augmentation, and for VGG-11 how many blocks train. The
pretrained families need ImageNet weights, which torchvision downloads or finds in its cache (`TORCH_HOME`).

    optrack dataset prepare cifar10 --download
    optrack run cifar10_convnet

Reported (validation, test): convnet 81.6, 79.3; convnet_bn 84.3, 83.7; vgg11_bn frozen 63.2 and learned 62.9 on test,
from scratch about 90, 88.8 per cent. These are networks for a GPU: on one CPU core an epoch of `convnet` takes more
than ten minutes. Not searched.
"""

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Reference, Study

REPORT = "course report 003, CIFAR-10, tuned by hand"

OPTIONS = {"schedule": "cosine", "augmentation": "cifar10_convnet"}
TRAINING = {
    "lr": Float(1e-4, 1e-1, log=True),
    "batch_size": Categorical(32, 64, 128, 256),
    "weight_decay": Float(1e-6, 1e-2, log=True),
    "optimizer": Categorical("adam", "sgd"),
    "momentum": Float(0.8, 0.98, when={"optimizer": "sgd"}),
    "augmentation_strength": Float(0.0, 1.0),
    "dropout": Float(0.0, 0.9),
}
BATCH_NORM = {"bn_momentum": Float(0.01, 0.5, log=True)}
DEPTH = {"depth": Int(3, 5), "filters_1": Categorical(64, 128), "filters_2": Categorical(256, 512)}
HEAD = {"head_depth": Int(0, 2), "head_width": Int(128, 1024, log=True)}

# The report states dropout and augmentation; the rest are customary values.
BY_HAND = {"lr": 1e-3, "batch_size": 128, "optimizer": "adam", "weight_decay": 1e-5}
CONVNET_BY_HAND = {**BY_HAND, "depth": 5, "filters_1": 128, "filters_2": 512}
CONVNET_BN_BY_HAND = {**CONVNET_BY_HAND, "bn_momentum": 0.1}
HEAD_BY_HAND = {**BY_HAND, "augmentation_strength": 1.0, "head_depth": 2, "head_width": 512, "dropout": 0.2}
VGG_BY_HAND = {**HEAD_BY_HAND, "bn_momentum": 0.1}

STUDY = Study(
    "cifar10_convnet",
    data=Data("cifar10", validation=0.1),
    budget=Budget(trials=30, epochs=30, patience=8),
    families=[
        Family(
            "convnet",
            architecture="convnet",
            options=OPTIONS,
            space={**TRAINING, **DEPTH},
            start=[{**CONVNET_BY_HAND, "dropout": 0.0, "augmentation_strength": 0.0}],
            reference=Reference(validation=0.816, test=0.793, source=REPORT),
        ),
        Family(
            "convnet_bn",
            architecture="convnet",
            options={**OPTIONS, "batch_norm": True},
            space={**TRAINING, **DEPTH, **BATCH_NORM},
            start=[
                {**CONVNET_BN_BY_HAND, "dropout": 0.0, "augmentation_strength": 0.0},
                {**CONVNET_BN_BY_HAND, "dropout": 0.0, "augmentation_strength": 1.0},
                {**CONVNET_BN_BY_HAND, "dropout": 0.1, "augmentation_strength": 0.0},
            ],
            reference=Reference(validation=0.843, test=0.837, source=REPORT),
        ),
        Family(
            "vgg11_bn_frozen",
            architecture="vgg11_bn",
            options={**OPTIONS, "pretrained": True, "trainable_blocks": 0},
            space={**TRAINING, **HEAD},
            start=[HEAD_BY_HAND],
            reference=Reference(test=0.632, source=REPORT),
        ),
        Family(
            "vgg11_bn_learned",
            architecture="vgg11_bn",
            options={**OPTIONS, "pretrained": True},
            space={
                **TRAINING,
                **HEAD,
                **BATCH_NORM,
                "trainable_blocks": Int(1, 8),
                "feature_lr_factor": Float(0.01, 1.0, log=True),
            },
            start=[{**VGG_BY_HAND, "trainable_blocks": 8, "feature_lr_factor": 1.0}],
            reference=Reference(test=0.629, source=REPORT),
        ),
        Family(
            "vgg11_bn_scratch",
            architecture="vgg11_bn",
            options=OPTIONS,
            space={**TRAINING, **HEAD, **BATCH_NORM},
            start=[VGG_BY_HAND],
            reference=Reference(validation=0.90, test=0.888, source=REPORT),
        ),
    ],
)
