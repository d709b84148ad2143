"""What may go wrong at a cloud, whichever it is. Activities map these to Temporal, the api to HTTP, each in one place.

ProviderError
├── KeyRefused         the cloud does not know this key, or it may not do this
├── Throttled          asked too often; `retry_after` where the cloud said so
│   └── NotOurTurn     our own limiter: another of our processes goes first
├── Unavailable        no readable answer: what was asked may or may not have happened
│   └── NotSent        the request surely never left, so nothing happened
└── Refused            a readable no
    ├── CapacityGone   the offer, or the GPU of a stopped machine, is somebody else's by now
    └── NotFound       there is no such machine
"""


class ProviderError(Exception):
    """Any answer that is not a success. The message names no URL, key or body. `cloud`: its name, for sentences."""

    def __init__(self, message: str = "", *, cloud: str = "The provider") -> None:
        super().__init__(message)
        self.cloud = cloud


class KeyRefused(ProviderError):
    pass


class Throttled(ProviderError):
    def __init__(self, message: str, retry_after: float | None = None, *, cloud: str = "The provider") -> None:
        super().__init__(message, cloud=cloud)
        self.retry_after = retry_after
        """Seconds; None: the cloud did not say."""


class NotOurTurn(Throttled):
    def __init__(self, message: str, wait: float, *, cloud: str = "The provider") -> None:
        super().__init__(message, wait, cloud=cloud)
        self.wait = wait
        """Seconds after which to come back."""


class Unavailable(ProviderError):
    pass


class NotSent(Unavailable):
    pass


class Refused(ProviderError):
    def __init__(self, message: str, *, cloud_id: str | None = None, cloud: str = "The provider") -> None:
        super().__init__(message, cloud=cloud)
        self.cloud_id = cloud_id
        """A machine that was made although the answer is a refusal: it must be released."""


class CapacityGone(Refused):
    pass


class NotFound(Refused):
    pass
