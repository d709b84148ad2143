"""HTTP without TLS, which is what everything under test speaks. A client that could verify a certificate reads those of
all authorities first, and a `get` of its own for each look at a server spends more on that than on the look.
"""

import ssl
from functools import partial

import httpx

from tests.patience import PATIENCE_SECONDS

TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=TRUSTS_NOBODY, timeout=PATIENCE_SECONDS)
delete = partial(httpx.delete, verify=TRUSTS_NOBODY, timeout=PATIENCE_SECONDS)
post = partial(httpx.post, verify=TRUSTS_NOBODY, timeout=PATIENCE_SECONDS)
Client = partial(httpx.Client, verify=TRUSTS_NOBODY, timeout=PATIENCE_SECONDS)
AsyncClient = partial(httpx.AsyncClient, verify=TRUSTS_NOBODY, timeout=PATIENCE_SECONDS)
