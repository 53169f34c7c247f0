# SPDX-License-Identifier: MIT
"""HTTP connections that verify: the name may be another than the address, as with hosts that are called by address."""
import http.client
import socket
import xmlrpc.client


class Https(http.client.HTTPSConnection):
    tls_name = ""

    def connect(self):
        if not self.tls_name:
            super().connect()
            return
        sock = socket.create_connection((self.host, self.port), self.timeout)
        try:
            self.sock = self._context.wrap_socket(sock, server_hostname=self.tls_name)
        except Exception:
            sock.close()
            raise


def connection(url, context, timeout, tls_name=""):
    if context is None:
        return http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
    made = Https(url.hostname, url.port, timeout=timeout, context=context)
    made.tls_name = tls_name
    return made


class Transport(xmlrpc.client.SafeTransport):
    """XML-RPC over such a connection."""

    def __init__(self, url, context, timeout, tls_name):
        super().__init__()
        self.made = (url, context, timeout, tls_name)

    def make_connection(self, host):
        if not self._connection[1]:
            self._connection = host, connection(*self.made)
        return self._connection[1]

    def patience(self, seconds):
        """For the calls that follow: some wait for a guest."""
        self.made = self.made[:2] + (seconds,) + self.made[3:]
        link = self._connection[1]
        if link:
            link.timeout = seconds
            if link.sock:
                link.sock.settimeout(seconds)
