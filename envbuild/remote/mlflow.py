"""MLflow's tracking server (REST API 2.0): one run and its files, read.  Nothing is ever written.

Credentials are MLflow's own variables, or in the address; they go to that address alone, so no redirect is
followed.
"""

import re
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests

from envbuild.errors import NetworkError, NotFoundError, UsageError
from envbuild.formats.json_text import parse_json
from envbuild.remote.http import network_errors, open_session, require_success, without_credentials

TIMEOUT_SECONDS: Final = (5.0, 20.0)
"""To connect, and between two reads."""

LONGEST_SECONDS: Final = 60.0
"""Of one answer, however slowly it comes."""

LARGEST_ANSWER: Final = 16 << 20
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MlflowServer:
    """A tracking server."""

    def __init__(
        self, address: str, environment: Mapping[str, str], *, seconds: float = LONGEST_SECONDS
    ) -> None:
        """Take the ``address`` of ``MLFLOW_TRACKING_URI``; nothing is asked yet.

        :raises UsageError: the token of the environment is none.
        """
        parts = urlsplit(address)
        self.shown = without_credentials(address).rstrip("/")
        host = parts.netloc.rpartition("@")[2]
        self._address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._seconds = seconds
        # a server may ask for hours of patience before the next try
        self._session = open_session(retries=0)
        self._headers: dict[str, str] = {}
        user = unquote(parts.username or "") or environment.get("MLFLOW_TRACKING_USERNAME", "")
        password = unquote(parts.password or "") or environment.get("MLFLOW_TRACKING_PASSWORD", "")
        if user or password:
            # in UTF-8, as MLflow does
            pair = b64encode(f"{user}:{password}".encode()).decode()
            self._session.auth = _Authorization(f"Basic {pair}")
        elif token := environment.get("MLFLOW_TRACKING_TOKEN"):
            # what it is must not be in the error that the client would raise
            if not _TOKEN.fullmatch(token):
                raise UsageError("MLFLOW_TRACKING_TOKEN has characters that no token has")
            self._session.auth = _Authorization(f"Bearer {token}")
        if environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true":
            self._session.verify = False
        elif bundle := environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
            self._session.verify = bundle

    def run(self, run_id: str) -> Mapping[str, Any]:
        """Return a run as the server describes it.

        :raises NotFoundError: it has no such run.
        :raises NetworkError: it is out of reach, refuses, or is no server of MLflow that is known.
        """
        answer = self._json(f"api/2.0/mlflow/runs/get?run_id={quote(run_id)}")
        found = answer.get("run")
        if not isinstance(found, dict):
            raise self._unknown("its answer holds no run")
        return found

    def artifacts(self, run_id: str, path: str = "") -> tuple[str, ...]:
        """Return the paths of files and folders below a folder of a run's artifacts: the first page.

        :raises NetworkError: see :meth:`run`.
        """
        below = f"&path={quote(path)}" if path else ""
        files = self._json(f"api/2.0/mlflow/artifacts/list?run_id={quote(run_id)}{below}").get("files")
        listed = files if isinstance(files, list) else []
        return tuple(
            entry["path"]
            for entry in listed
            if isinstance(entry, dict) and isinstance(entry.get("path"), str)
        )

    def artifact(self, run_id: str, path: str, *, limit: int) -> bytes | None:
        """Return the content of an artifact; None: there is none.

        :raises NetworkError: it has more than ``limit`` bytes; see also :meth:`run`.
        """
        try:
            return self._body(f"get-artifact?path={quote(path)}&run_uuid={quote(run_id)}", limit)
        except NotFoundError:
            return None

    def _json(self, path: str) -> Mapping[str, Any]:
        body = self._body(path, LARGEST_ANSWER)
        try:
            found = parse_json(body)
        except ValueError as error:
            raise self._unknown("its answer is not JSON") from error
        if not isinstance(found, dict):
            raise self._unknown("its answer is no table")
        return found

    def _body(self, path: str, limit: int) -> bytes:
        url, end = f"{self._address}/{path}", time.monotonic() + self._seconds
        with (
            network_errors(self._address),
            self._session.get(url, timeout=TIMEOUT_SECONDS, stream=True, allow_redirects=False) as answer,
        ):
            body = bytearray()
            for piece in answer.iter_content(1 << 16):
                body += piece
                if len(body) > limit:
                    raise NetworkError(f"{self.shown} sent more than {limit >> 10} KiB for one question")
                if time.monotonic() > end:
                    raise NetworkError(
                        f"{self.shown} did not answer within {self._seconds:.0f} seconds",
                        hint="check the server, then try again",
                    )
            self._judge(answer, bytes(body))
            return bytes(body)

    def _judge(self, answer: requests.Response, body: bytes) -> None:
        """Return if an answer is one.  :raises NetworkError: it is not."""
        if answer.is_redirect or answer.is_permanent_redirect:
            raise self._unknown("it leads to another address, which is not followed")
        if answer.status_code in {401, 403}:
            raise NetworkError(
                f"{self.shown} refused the credentials (HTTP {answer.status_code})",
                hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
            )
        code = _error_code(body)
        if code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"} and not answer.ok:
            raise NotFoundError(f"{self.shown} has no such run or file")
        if answer.status_code == 404:  # noqa: PLR2004 - HTTP
            # so of a file that is not there, too
            raise NotFoundError(*self._unknown("it does not know the question (HTTP 404)").args)
        require_success(answer)

    def _unknown(self, reason: str) -> NetworkError:
        return NetworkError(
            f"{self.shown} does not answer as a tracking server of MLflow: {reason}",
            hint="check MLFLOW_TRACKING_URI; it is the address that MLflow itself is given",
        )


class _Authorization(requests.auth.AuthBase):
    """Credentials, in place of what ~/.netrc may have for the host."""

    def __init__(self, credentials: str) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._credentials
        return request


def _error_code(body: bytes) -> str | None:
    try:
        found = parse_json(body)
    except ValueError:
        return None
    code = found.get("error_code") if isinstance(found, dict) else None
    return code if isinstance(code, str) else None
