"""CINIC-10: 90,000 images to train on and as many to validate, 32x32 pixels, 10 classes (Darlow et al. 2018).

Three LeNets that a course report tuned by hand. Searched: kernel sizes, widths, batch norm, learning rate and its
steps, weight decay, initialisation and strength of the augmentation. The data set's own validation part is used as it
is.

    optrack run cinic10

The data are class folders, DIR/cinic10/{train,valid,test}/CLASS, from https://datashare.ed.ac.uk/handle/10283/3192.
Reported (validation, test): lenet5 51.22, 50.73; lenet5_small_filters 54.51, 52.25; lenet5_wide_bn 64.66, 64.38 per
cent. Not measured: the data were not at hand.
"""

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Reference, Study

REPORT = "course report 004, CINIC-10, tuned by hand"

OPTIONS = {"schedule": "step", "augmentation": "cinic10"}
TRAINING = {
    "lr": Float(3e-4, 1e-2, log=True),
    "decay_factor": Categorical(0.1, 0.5),
    "decay_epochs": Int(3, 10),
    "batch_size": Categorical(32, 64, 128),
    "weight_decay": Float(1e-6, 1e-2, log=True),
    "init": Categorical("default", "xavier"),
    "augmentation_strength": Float(0.0, 1.0),
    "dropout": Float(0.0, 0.5),
}
KERNELS = {"kernel_size_1": Int(3, 5), "kernel_size_2": Int(3, 5)}
# Where the report states no value, a customary one.
BY_HAND = {
    "lr": 1e-3,
    "decay_factor": 0.5,
    "decay_epochs": 5,
    "weight_decay": 1e-5,
    "batch_size": 64,
    "init": "default",
    "augmentation_strength": 1.0,
    "dropout": 0.0,
}

STUDY = Study(
    "cinic10",
    data=Data("cinic10"),
    budget=Budget(trials=30, epochs=16, patience=5),
    families=[
        Family(
            "lenet5",
            architecture="lenet",
            options={**OPTIONS, "kernel_size_1": 5, "kernel_size_2": 5},
            space={**TRAINING, "width_1": Int(60, 480, log=True), "width_2": Int(42, 168, log=True)},
            start=[{**BY_HAND, "width_1": 120, "width_2": 84}],
            reference=Reference(validation=0.5122, test=0.5073, source=REPORT),
        ),
        Family(
            "lenet5_small_filters",
            architecture="lenet",
            options=OPTIONS,
            space={**TRAINING, **KERNELS},
            start=[{**BY_HAND, "kernel_size_1": 3, "kernel_size_2": 4}],
            reference=Reference(validation=0.5451, test=0.5225, source=REPORT),
        ),
        Family(
            "lenet5_wide_bn",
            architecture="lenet",
            options={**OPTIONS, "conv_batch_norm": True},
            space={
                **TRAINING,
                **KERNELS,
                "bn_momentum": Float(0.01, 0.5, log=True),
                "filters_1": Int(16, 64, step=16),
                "filters_2": Int(32, 128, step=32),
                "width_1": Int(200, 800, step=100),
                "width_2": Int(100, 400, step=50),
            },
            start=[
                {
                    **BY_HAND,
                    "bn_momentum": 0.1,
                    "kernel_size_1": 3,
                    "kernel_size_2": 4,
                    "filters_1": 32,
                    "filters_2": 64,
                    "width_1": 600,
                    "width_2": 200,
                }
            ],
            reference=Reference(validation=0.6466, test=0.6438, source=REPORT),
        ),
    ],
)
