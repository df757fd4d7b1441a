"""Database servers, on which Optuna's storage or MLflow's records may lie."""

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError


def connection_problem(url: str) -> str | None:
    """Why a database server does not let us in, in one line; None where it does.

    Args:
        url: SQLAlchemy's.
    """
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect():
            pass
        engine.dispose()
    except ImportError as error:
        return f"its driver is not installed ({error})"
    except (SQLAlchemyError, ValueError) as error:
        return first_line(error)
    return None


def first_line(error: Exception) -> str:
    """What an exception says, without what its library adds below."""
    return str(error).strip().split("\n")[0]
