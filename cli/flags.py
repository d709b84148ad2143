"""Switches that several commands have, so that each is spelt and told alike everywhere."""

from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Yes = Annotated[bool, Parameter(name=("--yes", "-y"), negative="", show_default=False, help="Do not ask.")]
Detach = Annotated[
    bool,
    Parameter(name=("--detach", "-d"), negative="", show_default=False, help="Return at once, and leave it to itself."),
]
AsJson = Annotated[
    bool,
    Parameter(
        name=("--as-json", "--json"),
        negative="",
        show_default=False,
        help="The answer as it is on standard output, for programs.",
    ),
]
