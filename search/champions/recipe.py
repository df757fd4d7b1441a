"""What is recorded beside weights: all that is needed to build the network again and to feed it."""

from dataclasses import asdict
from typing import Any

from ...datasets import Prepared, open_prepared
from ..stores.comparable import data_record
from ..study.study import Study
from ..training import Job
from ..training.own_code import OwnCode


def configuration(
    study: Study, data: Prepared, job: Job, *, code: OwnCode | None = None, value: float, epoch: int
) -> dict[str, Any]:
    """The configuration of trained weights, as JSON takes it.

    Args:
        study: what was searched.
        data: the prepared images.
        job: the training.
        code: of somebody's own network.
        value: of the study's metric; a retrained model has none of its own, and is given its trial's.
        epoch: after which the weights were taken.
    """
    images = open_prepared(data)
    return {
        "study": study.name,
        "family": job.family,
        "trial": job.trial,
        "metric": job.metric,
        "value": value,
        "epoch": epoch,
        "architecture": job.architecture,
        **({} if code is None else {"source": code.as_json()}),
        "model": dict(job.model),
        "training": asdict(job.training),
        "trained_on": "train" if job.validates else "train and validation",
        "seed": job.seed,
        "threads": job.threads,
        "input": list(data.input_shape),
        "classes": list(data.classes),
        "mean": list(images.mean),
        "std": list(images.std),
        "data": {"name": data.name, "image_size": study.data.image_size, **data_record(data)},
    }
