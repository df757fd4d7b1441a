"""What a champion has learnt, as pictures beside its MLflow run: its filters, and its feature maps of an image."""

import torch

from ...datasets import open_prepared
from ..champions import Champion
from ..training import Job, Randomness, make_model, resident
from .images import feature_maps, filters, png
from .layers import first_weights


def champion_pictures(job: Job, champion: Champion) -> dict[str, bytes]:
    """Return PNG files by their path among a run's artifacts; none for networks that have no such layers.

    The job is the champion's training; its seed gives the weights before it again.
    """
    device = torch.device("cpu")
    data = open_prepared(job.data)
    with Randomness(job.seed, device, job.threads).active():
        before = first_weights(make_model(job, resident(data, device)), champion.input_shape)
    after = first_weights(champion.model, champion.input_shape)
    # An image of the validation part: the test part stays closed.
    maps = feature_maps(champion.model, data.images[data.validation[0]], champion.normalisation())
    found = {
        "filters": None if before is None or after is None else filters(before, after),
        "feature_maps": maps,
    }
    return {f"pictures/{name}.png": png(image) for name, image in found.items() if image is not None}
