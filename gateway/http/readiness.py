"""From a route to a machine that serves it. The one place where a request waits for an endpoint to be ready.

Today an endpoint that is not ready refuses at once; when endpoints learn to sleep, the wake and the bounded hold go
here, before anything of the request's body has been read.
"""

from dataclasses import dataclass

from domain.endpoints.phases import EndpointState
from gateway.http.errors import Code, HttpRefusal
from gateway.routes import LeaseAddress, Route

STARTING_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Serving:
    """A route with the machine that serves it now."""

    route: Route
    lease: LeaseAddress


def serving(route: Route) -> Serving | None:
    """None: no machine serves it now."""
    if route.state is not EndpointState.READY or route.lease is None:
        return None
    return Serving(route, route.lease)


async def ready(route: Route) -> Serving:
    """
    Raises:
        HttpRefusal: 503 `starting`, with the time to come back.
    """
    if (found := serving(route)) is None:
        raise HttpRefusal(503, Code.STARTING, "The model is still starting.", retry_after=STARTING_RETRY_SECONDS)
    return found
