"""STL-10: 5,000 labelled photographs to train on, 10 classes (Coates, Ng & Lee 2011), at 64x64 pixels.

Five models that a course report tuned by hand, from a linear one to MobileNetV2. Searched: learning rate, batch size,
optimizer, number and widths of hidden layers, dropout, and how many of MobileNetV2's feature blocks train. The two
transfer families need ImageNet weights, which torchvision downloads or finds in its cache (`TORCH_HOME`).

    optrack dataset prepare stl10 --download --image-size 64
    optrack run stl10

Reported on test: logistic 30.2, mlp 35.1, cnn4 70.5, mobilenet_v2_frozen 73.2, mobilenet_v2_learned 83.4 per cent.
Not searched as a whole. On one CPU core an epoch takes 2 s (logistic) and 3 s (mlp); give `cnn4` and
`mobilenet_v2_learned` few trials there (`--family`, `--trials`).
"""

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Reference, Study

REPORT = "course report 001, STL-10, tuned by hand"

OPTIONS = {"schedule": "cosine", "augmentation": "stl10"}
TRAINING = {
    "lr": Float(1e-5, 1e-2, log=True),
    "batch_size": Categorical(8, 16, 32, 64, 128, 256, 512),
    "weight_decay": Float(1e-6, 1e-2, log=True),
    "optimizer": Categorical("adam", "sgd"),
    "momentum": Float(0.0, 0.98, when={"optimizer": "sgd"}),
}
HEAD = {"dropout": Float(0.0, 0.5), "head_depth": Int(0, 2), "head_width": Int(128, 1024, log=True)}

# The report states learning rate, batch size, optimizer and cnn4's dropout; the rest are customary values.
ADAM_BY_HAND = {"lr": 1e-3, "batch_size": 128, "optimizer": "adam", "weight_decay": 1e-5}
HEAD_BY_HAND = {**ADAM_BY_HAND, "head_depth": 2, "head_width": 512, "dropout": 0.2}

STUDY = Study(
    "stl10",
    data=Data("stl10", image_size=64, validation=0.2),
    budget=Budget(trials=30, epochs=20, patience=6),
    families=[
        Family(
            "logistic",
            architecture="logistic",
            options=OPTIONS,
            space={**TRAINING, "dropout": Float(0.0, 0.3)},
            start=[{"lr": 1e-4, "batch_size": 128, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-5}],
            reference=Reference(test=0.302, source=REPORT),
        ),
        Family(
            "mlp",
            architecture="mlp",
            options={**OPTIONS, "width_factor": 0.5},
            space={
                **TRAINING,
                "depth": Int(1, 7),
                "width": Categorical(256, 512, 1024),
                "repeats": Int(1, 2),
                "dropout": Float(0.0, 0.5),
            },
            start=[{**ADAM_BY_HAND, "depth": 3, "width": 512, "repeats": 1, "dropout": 0.0}],
            reference=Reference(test=0.351, source=REPORT),
        ),
        Family(
            "cnn4",
            architecture="cnn4",
            options=OPTIONS,
            space={**TRAINING, **HEAD, "bn_momentum": Float(0.01, 0.5, log=True)},
            start=[{**HEAD_BY_HAND, "bn_momentum": 0.1}],
            reference=Reference(test=0.705, source=REPORT),
        ),
        Family(
            "mobilenet_v2_frozen",
            architecture="mobilenet_v2",
            options={**OPTIONS, "pretrained": True, "trainable_blocks": 0},
            space={**TRAINING, **HEAD},
            start=[HEAD_BY_HAND],
            reference=Reference(test=0.732, source=REPORT),
        ),
        Family(
            "mobilenet_v2_learned",
            architecture="mobilenet_v2",
            options={**OPTIONS, "pretrained": True},
            space={
                **TRAINING,
                **HEAD,
                "trainable_blocks": Int(1, 19),
                "feature_lr_factor": Float(0.01, 1.0, log=True),
                "bn_momentum": Float(0.01, 0.5, log=True),
            },
            start=[{**HEAD_BY_HAND, "trainable_blocks": 19, "feature_lr_factor": 1.0, "bn_momentum": 0.1}],
            reference=Reference(test=0.834, source=REPORT),
        ),
    ],
)
