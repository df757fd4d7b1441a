"""MLflow's errors as ours."""

from collections.abc import Generator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ..errors import TrackingError
from .addresses import first_line, shown


@contextmanager
def answers_of(uri: str) -> Generator[None]:
    """Turn MLflow's errors inside into ours."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"MLflow at {shown(uri)} does not answer: {first_line(error)}") from error
