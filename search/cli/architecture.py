"""`optrack architecture`: the networks that families can name."""

import typer

architecture_app = typer.Typer(help="List and show architectures.", no_args_is_help=True)
