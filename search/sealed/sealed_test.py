"""The sealed test: each retrained model sees the test images once, and every opening is counted.

Only the statistics of a data set open the test part as well, to count and compare.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from ...datasets import Progress
from ...datasets.prepared.sealed import TestData, open_test
from ..champions import Champion, load_folder, update_figures
from ..errors import NothingStoredError, OwnSourceError, StudyError, TrackingError
from ..pictures import misclassified, png
from ..results import TestResult, decoded, encoded, expected_calibration_error
from ..stores import ModelRun, Places, RunStore, data_request
from ..stores import mlflow_names as names
from ..study import Study
from .unrecorded import Tested, Unrecorded

LATENCY_DEVICE = "one CPU thread"
LATENCY_RUNS = 50
LATENCY_WARM_UP = 10

MISCLASSIFIED_FILE = f"{names.PICTURES_FOLDER}/misclassified.png"


def evaluate_models(
    study: Study,
    models: Mapping[str, Sequence[ModelRun]],
    *,
    runs: RunStore,
    places: Places,
    again: bool = False,
    on_decoded: Progress | None,
    on_tested: Callable[[ModelRun, TestResult], None],
) -> None:
    """Test the models of each family, the champion first, and add their answers for each image to their runs.

    A result that an interrupted call has seen and not recorded is recorded; the test part is not opened for it again.

    The other arguments are those of `judge_study`.

    Raises:
        DataError: there is no test part, or something is wrong with its files; nothing is counted then.
        StudyError: it does not fit the models.
        TrackingError: MLflow does not answer, or a model is gone.
    """
    unrecorded = Unrecorded.beside(places.storage, study.name)
    waiting: list[ModelRun] = []
    for model in (model for family in models.values() for model in family):
        tested = unrecorded.of(model.run_id)
        if tested is not None:
            _record(model, tested, study=study.name, runs=runs, places=places)
            unrecorded.drop(model.run_id)
            on_tested(model, decoded(tested.files, openings=tested.openings))
        if again or not (tested or model.tested):
            waiting.append(model)
    if not waiting:
        return
    # Before the test part is touched: all models are there, and fit the images.
    networks = {family.name: family.architecture for family in study.families}
    champions = {
        model.run_id: _fetched(runs, study.name, model.run_id, network=networks[model.family]) for model in waiting
    }
    data = open_test(data_request(study, places), on_decoded)
    for champion in champions.values():
        _check_fits(champion, data)
    firsts = {family[0].run_id for family in models.values() if family}
    for model in waiting:
        openings = model.openings + 1
        # First the count: who is interrupted after this has seen the test images.
        runs.log(model.run_id, tags={names.OPENINGS_TAG: str(openings)})
        champion = champions[model.run_id]
        result, files = _tested(champion, data, openings=openings)
        if model.run_id in firsts:
            files[MISCLASSIFIED_FILE] = png(misclassified(data.images, result))
        figures = {
            f"{names.TEST}/loss": result.loss,
            f"{names.TEST}/calibration_error": result.calibration_error,
            f"{names.TEST}/latency_ms": latency_ms(champion, data),
            f"{names.TEST}/accuracy": result.accuracy,
        }
        tested = Tested(openings=openings, figures=figures, files=files)
        unrecorded.keep(model.run_id, tested)
        _record(model, tested, study=study.name, runs=runs, places=places)
        unrecorded.drop(model.run_id)
        on_tested(model, result)


def _record(model: ModelRun, tested: Tested, *, study: str, runs: RunStore, places: Places) -> None:
    """Add the result of a test to the run of a model, and to the registry."""
    for name, content in tested.files.items():
        runs.log_file(model.run_id, name, content)
    runs.log(model.run_id, tags={names.LATENCY_TAG: LATENCY_DEVICE})
    # Whoever is registered later brings the figures along from the run.
    update_figures(places.tracking_uri, study, model.family, model.run_id, tested.figures)
    # The accuracy tells that a test is complete, hence last of all. Whoever was killed after it, before the result was
    # dropped, has recorded them: no two latencies are equal.
    if not tested.figures.items() <= model.metrics.items():
        runs.log(model.run_id, metrics=tested.figures)


def latency_ms(champion: Champion, data: TestData) -> float:
    """Return the median time for one image in milliseconds, from pixels to logits, on one thread of the CPU."""
    image = data.images[:1]
    seconds: list[float] = []
    threads = torch.get_num_threads()
    # More threads wait for each other on a busy machine, and small networks gain nothing by them.
    torch.set_num_threads(1)
    try:
        for _ in range(LATENCY_WARM_UP + LATENCY_RUNS):
            started = time.perf_counter()
            champion.logits(image)
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return 1000 * statistics.median(seconds[LATENCY_WARM_UP:])


def _fetched(runs: RunStore, study: str, run_id: str, *, network: str) -> Champion:
    with runs.fetched(run_id, names.MODEL_FOLDER) as folder:
        try:
            return load_folder(folder, network=network)
        except OwnSourceError:
            raise
        except (NothingStoredError, StudyError) as error:
            raise TrackingError(
                f"the model of run {run_id} is broken ({str(error).replace(str(folder), names.MODEL_FOLDER)}): "
                f"delete the run, and `optrack retrain {study}` makes it again"
            ) from None


def _check_fits(champion: Champion, data: TestData) -> None:
    if champion.classes != data.classes:
        raise StudyError(
            f"the test part has the classes {', '.join(data.classes)}, but {champion.family} was trained on "
            f"{', '.join(champion.classes)}"
        )
    if champion.input_shape != data.images.shape[1:]:
        raise StudyError(
            f"the images of the test part have the shape {data.images.shape[1:]}, but {champion.family} takes "
            f"{champion.input_shape}"
        )


def _tested(champion: Champion, data: TestData, *, openings: int) -> tuple[TestResult, dict[str, bytes]]:
    logits = torch.from_numpy(champion.logits(data.images))
    log_probabilities = logits.double().log_softmax(1).numpy()
    predictions = log_probabilities.argmax(axis=1)
    rows = np.arange(len(predictions))
    confidences = np.exp(log_probabilities[rows, predictions]).astype(np.float32)
    result = TestResult(
        classes=data.classes,
        labels=np.array(data.labels),
        predictions=predictions,
        confidences=confidences,
        loss=float(-log_probabilities[rows, data.labels].mean()),
        calibration_error=expected_calibration_error(confidences, predictions == data.labels),
        openings=openings,
        digest=data.digest,
        groups=data.groups,
    )
    return result, encoded(result, np.exp(log_probabilities).astype(np.float32))
