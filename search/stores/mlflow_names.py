"""The names of what is recorded in MLflow: tags, stages, metrics and artifacts."""

# Tags of runs, and of registered models and their versions.
STUDY_TAG = "optrack.study"
FAMILY_TAG = "optrack.family"
STAGE_TAG = "optrack.stage"
STATE_TAG = "optrack.state"
REASON_TAG = "optrack.reason"
TRIAL_TAG = "optrack.trial"
SEED_TAG = "optrack.seed"
DEVICE_TAG = "optrack.device"
THREADS_TAG = "optrack.threads"
VERSIONS_TAG = "optrack.versions"
PYTHON_TAG = "optrack.python"
SOURCE_DIGEST_TAG = "optrack.source_digest"
DATA_DIGEST_TAG = "optrack.data_digest"

# Of a trial's run: the earlier trial with the same configuration, and why it is not compared with others.
REPLICATE_TAG = "optrack.replicate_of"
APART_TAG = "optrack.apart"

# Of runs of trials and families: the search, as studies of one name in two storages may share an MLflow, and a digest
# of all that Optuna's storage knew when the run was last written.
SEARCH_ID_TAG = "optrack.search_id"
MIRRORED_TAG = "optrack.mirrored"

# Of a family's run: its best trial, and the trial whose configuration was retrained last.
BEST_TRIAL_TAG = "optrack.best_trial"
CANDIDATE_TAG = "optrack.candidate"

# Of a model's run: which seed, what it depends on, the metric of the trial whose configuration it has, how often its
# worker has died, how often the test part was opened for it, and what its latency was measured on.
NUMBER_TAG = "optrack.number"
TRAINING_TAG = "optrack.training"
VALUE_TAG = "optrack.value"
DEATHS_TAG = "optrack.deaths"
OPENINGS_TAG = "optrack.test_openings"
LATENCY_TAG = "optrack.latency_device"

# Of an experiment: a digest of its note as we wrote it.
OWN_NOTE_TAG = "optrack.note"

# Tags that MLflow's UI knows.
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
KIND_TAG = "mlflow.experimentKind"
VIEW_TAG_PREFIX = "mlflow.sharedViewState."
COMMIT_TAG = "mlflow.source.git.commit"
COMMAND_TAG = "mlflow.source.name"

# Values of STAGE_TAG; "confirm" is a race on validation images, "retrain" a training on all images.
FAMILY_STAGE = "family"
SEARCH_STAGE = "search"
CONFIRM_STAGE = "confirm"
RETRAIN_STAGE = "retrain"
REPORT_STAGE = "report"

# Metrics and artifacts of the best epoch or trial, and of the test, begin with these and a slash.
BEST = "best"
TEST = "test"

MODEL_FOLDER = "model"
PICTURES_FOLDER = "pictures"
CONFIGURATION = "configuration.json"
CONFIGURATION_FILE = f"{BEST}/{CONFIGURATION}"
STUDY_FILE = "study.json"
FAILURE_FILE = "failure.txt"
REPORT_FILE = "report.html"

TEXT_LIMIT = 6000
"""Characters that MLflow keeps of a parameter's value."""


def tagged(name: str, value: str) -> str:
    """Return the condition of a search for runs or models with a tag.

    >>> tagged(STAGE_TAG, "retrain")
    "tags.`optrack.stage` = 'retrain'"
    """
    quote = '"' if "'" in value else "'"
    return f"tags.`{name}` = {quote}{value}{quote}"
