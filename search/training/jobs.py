"""The jobs of a study, made from the values of configurations; for a search and a retraining alike."""

from collections.abc import Mapping
from typing import Any

from ...datasets import Prepared
from ..study import Study
from .config import split_settings
from .job import Job
from .own_code import network_code


class Jobs:
    """Makes the jobs of a study.

    Raises:
        StudyError: the file of a user-defined network is missing.
    """

    def __init__(self, study: Study, data: Prepared) -> None:
        self.data = data
        self.codes = {family.name: network_code(family) for family in study.families}
        self._study = study
        self._families = {family.name: family for family in study.families}

    def job(
        self, family: str, trial: int, values: Mapping[str, Any], *, epochs: int, patience: int | None, seed: int
    ) -> Job:
        """Make the job that trains the searched values of a trial, with the fixed options of its family.

        Device, threads and file of weights are not known before a worker is free.
        """
        training, model = split_settings({**self._families[family].options, **values})
        code = self.codes[family]
        return Job(
            family=family,
            trial=trial,
            architecture=self._families[family].architecture,
            source=code and code.digest,
            model=model,
            training=training,
            data=self.data,
            epochs=epochs,
            patience=patience,
            metric=self._study.metric,
            seed=seed,
        )
