"""The sealed test: each retrained model sees the test images once, and how often is counted.

Nothing else in optrack opens the test part but the statistics of a data set, which count and compare.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from ...datasets import Progress
from ...datasets.prepared.sealed import TestData, open_test
from ..champions.champion import Champion, load_folder
from ..champions.registry import ARTIFACT_FOLDER, registered, update_figures
from ..errors import NothingStoredError, OwnSourceError, StudyError, TrackingError
from ..pictures.images import misclassified, png
from ..results.predictions import encoded
from ..results.scores import expected_calibration_error
from ..results.values import FamilyResult, RetrainedModel, TestResult
from ..stores.model_runs import LATENCY_TAG, OPENINGS_TAG, ModelRuns
from ..stores.places import Places
from ..study.study import Study

LATENCY_DEVICE = "one CPU thread"
LATENCY_RUNS = 50
LATENCY_WARM_UP = 10

MISCLASSIFIED_FILE = "pictures/misclassified.png"


def evaluate_models(
    study: Study,
    families: Sequence[FamilyResult],
    *,
    runs: ModelRuns,
    places: Places,
    again: bool = False,
    on_decoded: Progress | None,
    on_tested: Callable[[FamilyResult, RetrainedModel, TestResult], None],
) -> None:
    """Test all retrained models that have not been tested yet, and record what they say of each image.

    Args:
        study: what was searched.
        families: with their retrained models.
        runs: where results are recorded.
        places: where things lie.
        again: open the test part for models that were tested, too; it is counted and shown from then on.
        on_decoded: told how many images of how many are decoded.
        on_tested: told each result.

    Raises:
        DataError: there is no test part, or something is wrong with its files; nothing is counted then.
        StudyError: it does not fit the models.
        TrackingError: MLflow does not answer, or a model is gone.
    """
    waiting = [(family, model) for family in families for model in family.models if again or model.test is None]
    if not waiting:
        return
    # Before the test part is touched: all models are there, and fit the images.
    champions = {model.run_id: _fetched(runs, model) for _, model in waiting}
    data = _opened(study, places, on_decoded)
    for champion in champions.values():
        _check_fits(champion, data)
    for family, model in waiting:
        before = runs.openings(model.run_id)
        # First the count: who is interrupted after this has seen the test images.
        runs.tag(model.run_id, OPENINGS_TAG, before + 1)
        champion = champions[model.run_id]
        result, files = _tested(champion, data, openings=before + 1)
        if model is family.champion:
            files[MISCLASSIFIED_FILE] = png(misclassified(data.images, result))
        figures = {
            "test/loss": result.loss,
            "test/calibration_error": result.calibration_error,
            "test/latency_ms": latency_ms(champion, data),
            "test/accuracy": result.accuracy,
        }
        runs.tag(model.run_id, LATENCY_TAG, LATENCY_DEVICE)
        for name, content in files.items():
            runs.log_file(model.run_id, name, content)
        # The accuracy tells that a test is complete, hence last of all.
        runs.log_metrics(model.run_id, figures)
        _note(runs, family, model, figures)
        on_tested(family, model, result)


def latency_ms(champion: Champion, data: TestData) -> float:
    """Median time for one image in milliseconds, from pixels to logits, on one thread of the CPU.

    Args:
        champion: a model.
        data: images of its size.
    """
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


def _opened(study: Study, places: Places, on_decoded: Progress | None) -> TestData:
    return open_test(
        study.data.name,
        image_size=study.data.image_size,
        data_dir=places.data_dir,
        cache_dir=places.cache_dir,
        group_pattern=study.data.group_pattern,
        progress=on_decoded,
    )


def _fetched(runs: ModelRuns, model: RetrainedModel) -> Champion:
    with runs.fetched(model.run_id, ARTIFACT_FOLDER) as folder:
        try:
            return load_folder(folder)
        except OwnSourceError:
            raise
        except (NothingStoredError, StudyError) as error:
            raise TrackingError(
                f"the model of run {model.run_id} is broken ({str(error).replace(str(folder), ARTIFACT_FOLDER)}): "
                f"delete the run, and `optrack retrain {runs.study}` makes it again"
            ) from None


def _note(runs: ModelRuns, family: FamilyResult, model: RetrainedModel, figures: Mapping[str, float]) -> None:
    """Figures of the champion go into the registry; who is registered later brings them along from the run."""
    champion = registered(runs.uri, runs.study).get(family.name)
    if champion is not None and champion.run_id == model.run_id:
        noted = {name.replace("/", "_"): value for name, value in figures.items()}
        update_figures(runs.uri, runs.study, family.name, noted)


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
    )
    return result, encoded(result, np.exp(log_probabilities).astype(np.float32))
