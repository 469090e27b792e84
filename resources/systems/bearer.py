"""Signing calls with a bearer token: a rule for `httpx`, without any I/O."""

from collections.abc import Generator

import httpx
import pydantic


class BearerAuth(httpx.Auth):
    """Sends the token with every call; it shows neither in a log nor in a traceback."""

    def __init__(self, token: pydantic.SecretStr) -> None:
        self._token = token

    def __repr__(self) -> str:
        return "BearerAuth(**********)"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the one request."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request
