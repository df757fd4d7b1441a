"""Fashion-MNIST: 60,000 grey images of clothes, 28x28 pixels, 10 classes (Xiao, Rasul & Vollgraf 2017).

Searches learning rate, batch size, weight decay, dropout, batch norm momentum and depth of three families, from a
linear model to LeNet. Needs the data set:

    optrack dataset prepare fashion_mnist --download
    optrack run fashion_mnist
"""

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Study

TRAINING = {
    "lr": Float(3e-4, 1e-2, log=True),
    "batch_size": Categorical(64, 128, 256),
    "weight_decay": Float(1e-6, 1e-2, log=True),
}

STUDY = Study(
    "fashion_mnist",
    data=Data("fashion_mnist", validation=1 / 6),
    budget=Budget(trials=20, epochs=15, patience=5),
    families=[
        Family(
            "logistic",
            architecture="logistic",
            options={"schedule": "cosine"},
            space={**TRAINING, "dropout": Float(0.0, 0.3)},
            start=[{"lr": 1e-3, "batch_size": 128}],
        ),
        Family(
            "mlp",
            architecture="mlp",
            options={"schedule": "cosine", "batch_norm": True},
            space={
                **TRAINING,
                "depth": Int(1, 4),
                "width": Int(128, 1024, log=True),
                "dropout": Float(0.0, 0.5),
                "bn_momentum": Float(0.01, 0.5, log=True),
            },
            start=[{"lr": 1e-3, "batch_size": 128, "depth": 2, "width": 256}],
        ),
        Family(
            "lenet",
            architecture="lenet",
            options={"schedule": "cosine"},
            space={
                **TRAINING,
                "optimizer": Categorical("adam", "sgd"),
                "momentum": Float(0.8, 0.98, when={"optimizer": "sgd"}),
                "batch_norm": Categorical(True, False),
                "bn_momentum": Float(0.01, 0.5, log=True, when={"batch_norm": True}),
                "dropout": Float(0.0, 0.5),
            },
            start=[{"lr": 3e-3, "batch_size": 128, "optimizer": "adam", "batch_norm": True}],
        ),
    ],
)
