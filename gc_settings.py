"""Python's garbage collector, set for programs that load much and stay. Each of them imports this first.

By default it looks at the youngest objects after every 700 new ones, and now and then at all there are: half a million
of imported code alone. That takes a fifth of a program's start, and 0.1 s at any moment later, in which nothing is
answered.
"""

import gc

_YOUNG = 50_000
"""New objects between two looks; some megabytes, if all of them were garbage in circles."""
_LOOKS = 5
"""At the young, for one at what outlived that; and again as many of those for one at all."""

gc.set_threshold(_YOUNG, _LOOKS, _LOOKS)


def keep_what_is_loaded() -> None:
    """All that there is now stays as long as the program: the collector never looks at it again."""
    gc.collect()
    gc.freeze()
