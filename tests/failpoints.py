"""The named points of our code by who passes them (failpoints.py)."""

from failpoints import Failpoint

_OF_SLEEPERS = ("instance-", "power-", "stop-", "start-", "data-machine-")
_OF_FILES = ("snapshot-", "restored", "checkpoint-")
_OF_JOBS = ("job-", "parked", "unparked")
_OF_MODELS = ("deploy-", "probe-", "server-", "model-", "published")
_OF_RESTARTS = ("down-",)

_OF_OTHERS = (*_OF_SLEEPERS, *_OF_FILES, *_OF_JOBS, *_OF_RESTARTS)

OF_DEPLOYS = [point for point in Failpoint if not point.value.startswith(_OF_OTHERS)]
"""Every deploy gets to these; in tests/system test_sleep_faults, test_servers and those of jobs do to the others."""

OF_LEASES = [point for point in OF_DEPLOYS if not point.value.startswith(_OF_MODELS)]
"""Those of the lease protocol."""
