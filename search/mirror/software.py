"""What a study is run with: the versions of packages and the commit of the current folder, as tags of its runs."""

import platform
import subprocess
from importlib.metadata import version

from ..stores import mlflow_names as names

RECORDED_PACKAGES = ("optrack", "torch", "torchvision", "optuna", "mlflow", "numpy")


def environment() -> dict[str, str]:
    """Return tags that describe this process; no commit outside of a repository."""
    commit = _git_commit()
    return {
        names.VERSIONS_TAG: ", ".join(f"{name} {version(name)}" for name in RECORDED_PACKAGES),
        names.PYTHON_TAG: platform.python_version(),
        **({names.COMMIT_TAG: commit} if commit else {}),
    }


def _git_commit() -> str | None:
    """Return the commit alone: the address of the remote may hold a password."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
