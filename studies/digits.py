"""Handwritten digits: 1,797 images of 8x8 pixels that come with scikit-learn (Alpaydin & Kaynak 1998).

Searches learning rate, batch size, weight decay, dropout, batch norm momentum and depth of three families, from a
linear model to LeNet. Needs no download: the study to try optrack with.

    optrack run digits
"""

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Pruner, Study

TRAINING = {
    "lr": Float(1e-3, 3e-2, log=True),
    "batch_size": Categorical(32, 64, 128),
    "weight_decay": Float(1e-6, 1e-2, log=True),
}

STUDY = Study(
    "digits",
    data=Data("digits", image_size=32, validation=0.2),
    budget=Budget(trials=12, epochs=20, patience=6),
    # Optuna draws its figures from finished trials, and of twelve the default pruner lets one or two finish.
    pruner=Pruner("median", n_startup_trials=4, n_warmup_steps=1),
    families=[
        Family(
            "logistic",
            architecture="logistic",
            options={"schedule": "cosine"},
            space={**TRAINING, "dropout": Float(0.0, 0.3)},
            start=[{"lr": 1e-2, "batch_size": 64}],
        ),
        Family(
            "mlp",
            architecture="mlp",
            options={"schedule": "cosine", "batch_norm": True},
            space={
                **TRAINING,
                "depth": Int(1, 3),
                "width": Int(64, 512, log=True),
                "dropout": Float(0.0, 0.5),
                "bn_momentum": Float(0.05, 0.5, log=True),
            },
            start=[{"lr": 3e-3, "batch_size": 64, "depth": 2, "width": 256}],
        ),
        Family(
            "lenet",
            architecture="lenet",
            options={"schedule": "one_cycle"},
            space={
                **TRAINING,
                "optimizer": Categorical("adam", "sgd"),
                "momentum": Float(0.8, 0.98, when={"optimizer": "sgd"}),
                "batch_norm": Categorical(True, False),
                "bn_momentum": Float(0.05, 0.5, log=True, when={"batch_norm": True}),
                "dropout": Float(0.0, 0.5),
            },
            start=[{"lr": 5e-3, "batch_size": 64, "optimizer": "adam", "batch_norm": True}],
        ),
    ],
)
