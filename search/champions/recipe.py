"""What is recorded beside weights: all that is needed to build the network again and to feed it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from annotated_types import Len
from pydantic import BaseModel, PositiveInt, StringConstraints, ValidationError, model_validator

from ..errors import NothingStoredError, StudyError
from ..stores import mlflow_names as names

if TYPE_CHECKING:  # commands that read recipes need no torch
    from ...datasets import Prepared
    from ..study import Study
    from ..training import Job, OwnCode

CONFIGURATION_FILE = names.CONFIGURATION


class RecipeSource(BaseModel, strict=True, frozen=True):
    """The file of a user-defined network; a copy of it lies in the champion's folder, under its bare name."""

    file: Annotated[str, StringConstraints(pattern=r"^[^/\\]+\.py$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class RecipeData(BaseModel, strict=True, frozen=True):
    """The images that were trained on; without a size they were taken as they came."""

    name: str | None = None
    image_size: PositiveInt | None = None
    digest: str | None = None
    split_digest: str | None = None
    layout: str | None = None


class Recipe(BaseModel, strict=True, frozen=True):
    """How a network was made and what it takes, in the order in which it is written.

    Only what is needed to build the network and to prepare images for it must be there.

    Args:
        trial: its number in the family.
        value: of the metric; a retrained model has none of its own, and is given its trial's.
        epoch: after which the weights were taken.
        architecture: a registered name, or that of a user-defined network.
        source: where a user-defined network came from.
        model: hyperparameters of the architecture.
        training: hyperparameters of the training.
        trained_on: `train` or `train and validation`.
        threads: of torch on the CPU.
        input: channels, height and width, in pixels.
        classes: their names, in the order of the logits.
        mean: per channel, in [0, 1], over the training images.
        std: per channel, in [0, 0.5], over the training images.
    """

    study: str
    family: str
    trial: int | None = None
    metric: str | None = None
    value: float | None = None
    epoch: int | None = None
    architecture: str
    source: RecipeSource | None = None
    model: dict[str, Any]
    training: dict[str, Any] | None = None
    trained_on: str | None = None
    seed: int | None = None
    threads: int | None = None
    input: Annotated[list[PositiveInt], Len(3, 3)]
    classes: Annotated[list[str], Len(1)]
    mean: Annotated[list[float], Len(1)]
    std: Annotated[list[float], Len(1)]
    data: RecipeData

    @model_validator(mode="after")
    def _channels_agree(self) -> Self:
        if not len(self.mean) == len(self.std) == self.input[0]:
            raise ValueError(f"mean and std must have {self.input[0]} values, one per channel")
        return self

    @classmethod
    def of(
        cls, study: "Study", data: "Prepared", job: "Job", *, code: "OwnCode | None", value: float | None, epoch: int
    ) -> Self:
        """Return the recipe of what a job trained; `code` is that of a user-defined network."""
        return cls.model_validate(
            {
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
                "mean": list(data.mean),
                "std": list(data.std),
                "data": {
                    "name": data.name,
                    "image_size": study.data.image_size,
                    "digest": data.digest,
                    "split_digest": data.split_digest,
                    "layout": data.layout,
                },
            }
        )

    def as_json(self) -> dict[str, Any]:
        """Return what is written: all that was given."""
        return self.model_dump(exclude_unset=True)


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe in a champion's folder.

    Raises:
        NothingStoredError: there is none.
        StudyError: it is broken.
    """
    path = folder / CONFIGURATION_FILE
    try:
        return Recipe.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise NothingStoredError(f"there is no champion in {folder}: {CONFIGURATION_FILE} is missing") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise StudyError(f"{path} is not a champion's configuration: {place}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from None
