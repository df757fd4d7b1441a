"""Servers on this machine: MLflow's UI, optuna-dashboard, and the page that classifies dropped images."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .children import serve
    from .drop_page import Served, page_app
    from .listening import listener, serve_until_stopped

__all__ = ["Served", "listener", "page_app", "serve", "serve_until_stopped"]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "children": ["serve"],
            "drop_page": ["Served", "page_app"],
            "listening": ["listener", "serve_until_stopped"],
        },
    )
