"""CIFAR-10: 50,000 images to train on, 32x32 pixels, 10 classes (Krizhevsky 2009); from LeNet to ResNet-18.

Four models that a course report tuned by hand. Searched: learning rate, batch size, optimizer, weight decay, dropout,
batch norm momentum, initialisation, width of the head, and for ResNet-18 how many blocks train. ResNet-18 needs
ImageNet weights, which torchvision downloads or finds in its cache (`TORCH_HOME`).

    optrack dataset prepare cifar10 --download
    optrack run cifar10_lenet

Reported (validation, test): lenet3 72.14, 72.06; convnet_wide 82.3, 80.6; convnet_deep 78.2, 78.3 per cent; resnet18
in a figure only.
Found with 12 trials of up to 10 epochs (validation): lenet3 75.10, convnet_deep 82.16 per cent, in 53 and 124 minutes
of training on one CPU core that had other work beside it: about two and three minutes an epoch.
Retrained under one seed, on test: 75.09 and 82.75 per cent.
"""

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Reference, Study

REPORT = "course report 002, CIFAR-10, tuned by hand"

OPTIONS = {"schedule": "cosine", "augmentation": "crop_flip"}
TRAINING = {
    "lr": Float(3e-4, 1e-1, log=True),
    "batch_size": Categorical(32, 64, 128),
    "weight_decay": Float(1e-6, 1e-2, log=True),
    "optimizer": Categorical("adam", "sgd"),
    "momentum": Float(0.8, 0.98, when={"optimizer": "sgd"}),
    "augmentation_strength": Float(0.0, 1.0),
}
NETWORK = {
    "dropout": Float(0.0, 0.5),
    "head_width": Int(32, 256, log=True),
    "init": Categorical("xavier", "kaiming", "default"),
}
BATCH_NORM = {"bn_momentum": Float(0.01, 0.5, log=True)}
# Where the report states no value, a customary one.
PLAIN = {"augmentation_strength": 0.0, "weight_decay": 1e-5}
BY_HAND = {**PLAIN, "head_width": 64, "init": "xavier", "dropout": 0.0}
BATCH_NORM_BY_HAND = {**BY_HAND, "bn_momentum": 0.1}

STUDY = Study(
    "cifar10_lenet",
    data=Data("cifar10", validation=0.1),
    budget=Budget(trials=30, epochs=20, patience=6),
    families=[
        Family(
            "lenet3",
            architecture="lenet3",
            options=OPTIONS,
            space={**TRAINING, **NETWORK},
            start=[{"lr": 1e-3, "batch_size": 64, "optimizer": "adam", **BY_HAND}],
            reference=Reference(validation=0.7214, test=0.7206, source=REPORT),
        ),
        Family(
            "convnet_wide",
            architecture="convnet_wide",
            options=OPTIONS,
            space={**TRAINING, **NETWORK, **BATCH_NORM},
            start=[{"lr": 0.05, "batch_size": 64, "optimizer": "sgd", "momentum": 0.9, **BATCH_NORM_BY_HAND}],
            reference=Reference(validation=0.823, test=0.806, source=REPORT),
        ),
        Family(
            "convnet_deep",
            architecture="convnet_deep",
            options=OPTIONS,
            space={**TRAINING, **NETWORK, **BATCH_NORM},
            start=[{"lr": 1e-3, "batch_size": 32, "optimizer": "adam", **BATCH_NORM_BY_HAND, "dropout": 0.1}],
            reference=Reference(validation=0.782, test=0.783, source=REPORT),
        ),
        Family(
            "resnet18",
            architecture="resnet18",
            options={**OPTIONS, "pretrained": True},
            space={
                **TRAINING,
                "trainable_blocks": Int(1, 5),
                "feature_lr_factor": Float(0.01, 1.0, log=True),
                **BATCH_NORM,
            },
            start=[
                {
                    "lr": 5e-4,
                    "batch_size": 32,
                    "optimizer": "adam",
                    **PLAIN,
                    "trainable_blocks": 5,
                    "feature_lr_factor": 1.0,
                    "bn_momentum": 0.1,
                }
            ],
            reference=Reference(source=REPORT),
        ),
    ],
)
