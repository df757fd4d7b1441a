"""What is recorded: Optuna's storage, MLflow's runs, and where both lie."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .addresses import check_tracking, first_line, has_records, make_state_folder, shown
    from .comparable import check_comparable, data_record
    from .mlflow_names import tagged
    from .mlflow_store import MlflowRuns, all_pages, answers_of, client, log_report, quiet_mlflow, study_links
    from .mlflow_tracker import MlflowTracker
    from .model_runs import FamilyRun, ModelRun, Stage, race_values
    from .optuna_store import (
        DATA_ATTRIBUTE,
        SOURCE_ATTRIBUTE,
        STUDY_ATTRIBUTE,
        open_family,
        owned,
        read_storage,
        requeue,
        stored_families,
        stored_names,
        whole_study,
    )
    from .places import Places, check_places, prepared_data
    from .ranking import Candidate, candidate_of, candidates, check_searched, picked, replicated
    from .tracking import RunState, RunStore, Tracker
    from .trials import ENDS, OPTUNA_STATES, REPLICATE_ATTRIBUTE, STATE_WORDS, End, StoredFamily, Trial, epoch_of

__all__ = [
    "DATA_ATTRIBUTE",
    "ENDS",
    "OPTUNA_STATES",
    "REPLICATE_ATTRIBUTE",
    "SOURCE_ATTRIBUTE",
    "STATE_WORDS",
    "STUDY_ATTRIBUTE",
    "Candidate",
    "End",
    "FamilyRun",
    "MlflowRuns",
    "MlflowTracker",
    "ModelRun",
    "Places",
    "RunState",
    "RunStore",
    "Stage",
    "StoredFamily",
    "Tracker",
    "Trial",
    "all_pages",
    "answers_of",
    "candidate_of",
    "candidates",
    "check_comparable",
    "check_places",
    "check_searched",
    "check_tracking",
    "client",
    "data_record",
    "epoch_of",
    "first_line",
    "has_records",
    "log_report",
    "make_state_folder",
    "open_family",
    "owned",
    "picked",
    "prepared_data",
    "quiet_mlflow",
    "race_values",
    "read_storage",
    "replicated",
    "requeue",
    "shown",
    "stored_families",
    "stored_names",
    "study_links",
    "tagged",
    "whole_study",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "addresses": ["check_tracking", "first_line", "has_records", "make_state_folder", "shown"],
            "comparable": ["check_comparable", "data_record"],
            "mlflow_names": ["tagged"],
            "mlflow_store": [
                "MlflowRuns",
                "all_pages",
                "answers_of",
                "client",
                "log_report",
                "quiet_mlflow",
                "study_links",
            ],
            "mlflow_tracker": ["MlflowTracker"],
            "model_runs": ["FamilyRun", "ModelRun", "Stage", "race_values"],
            "optuna_store": [
                "DATA_ATTRIBUTE",
                "SOURCE_ATTRIBUTE",
                "STUDY_ATTRIBUTE",
                "open_family",
                "owned",
                "read_storage",
                "requeue",
                "stored_families",
                "stored_names",
                "whole_study",
            ],
            "places": ["Places", "check_places", "prepared_data"],
            "ranking": ["Candidate", "candidate_of", "candidates", "check_searched", "picked", "replicated"],
            "tracking": ["RunState", "RunStore", "Tracker"],
            "trials": [
                "ENDS",
                "OPTUNA_STATES",
                "REPLICATE_ATTRIBUTE",
                "STATE_WORDS",
                "End",
                "StoredFamily",
                "Trial",
                "epoch_of",
            ],
        },
    )
