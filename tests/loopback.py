"""HTTP to servers of the tests. httpx loads the system's certificates for each client, which takes longer than most
requests do; nobody needs one here."""

import ssl
from functools import partial

import httpx

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For ``verify``: a context that trusts nobody."""

get = partial(httpx.get, verify=NO_CERTIFICATES)
post = partial(httpx.post, verify=NO_CERTIFICATES)
Client = partial(httpx.Client, verify=NO_CERTIFICATES)
