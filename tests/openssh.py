"""Whether this computer can give simulated machines OpenSSH's own server, as rented ones have it."""

import pytest

from simulator.machines import openssh

REAL_SSHD = ["--openssh"] if openssh.find() else []
"""For a simulator's command line. Without it machines have the simulator's own SSH server."""

WITH_REAL_SSHD = {"SIMULATOR_OPENSSH": "1"} if REAL_SSHD else {}
"""For the environment of a whole installation."""

needs_real_sshd = pytest.mark.skipif(not REAL_SSHD, reason="no sshd here, or not root; .ci/run installs it")
