"""The HTTP adapter for Salesforce, with the certificates that it trusts."""

import threading
from ssl import SSLContext
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager

from m3sync_dagster.tls_and_proxy import tls_context

CONNECTIONS = 8


class TlsAdapter(HTTPAdapter):
    """Trusts the certificate authorities of ``tls_and_proxy``, and no others."""

    def __init__(self) -> None:
        self._context: SSLContext | None = None
        self._lock = threading.Lock()
        super().__init__(pool_maxsize=CONNECTIONS)

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,  # noqa: ANN401 - as requests has it
        **options: Any,  # noqa: ANN401
    ) -> requests.Response:
        """Send a request.

        Raises:
            ConfigurationError: the environment names certificates that cannot be read.
        """
        with self._lock:
            if self._context is None:
                # Not in the constructor, so that the error is raised by a request.
                self._context = tls_context()
                self.init_poolmanager(CONNECTIONS, CONNECTIONS, ssl_context=self._context)
        return super().send(request, *args, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:  # noqa: ANN401
        """Trust the same authorities for connections through a proxy, and for the proxy itself."""
        options["ssl_context"] = self._context
        if not proxy.lower().startswith("socks"):
            options["proxy_ssl_context"] = self._context
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        return manager

    def cert_verify(
        self,
        conn: Any,  # noqa: ANN401 - as requests has it
        url: str,  # noqa: ARG002
        verify: object,  # noqa: ARG002
        cert: object,  # noqa: ARG002
    ) -> None:
        """Add no authority to the context; requests would add Mozilla's list."""
        conn.cert_reqs = "CERT_REQUIRED"
