# SPDX-License-Identifier: MIT
"""CloudStack's API: signed requests, errors, pages, asynchronous jobs.

Every request is a POST with an expiry, which is what `enforce.post.requests.and.timestamps` wants, and which keeps parameters and signature
out of the access logs of web servers."""
import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import time
import urllib.parse

from .failure import Failure, NOT_THERE, REFUSED, TIMED_OUT, timed_out
from .site import secret_pair
from .tls import connection

EXPIRES = 600  # seconds; CloudStack allows 900
PAGE = 100
MOST = 64 << 20  # bytes of an answer
UNAUTHORIZED, TOO_MANY, UNAVAILABLE = 401, 429, 503
PENDING, DONE = 0, 1
ADVICE = {
    401: "see the key file, the user's state and the role's API rules",
    432: "the role of this key lacks the API: docs/operators/cloudstack.md has the least role",
}


def encoded(value):
    """As java.net.URLEncoder does it, with %20: CloudStack signs what it makes of the decoded value."""
    return urllib.parse.quote(value, safe="*").replace("~", "%7E")


def signature(params, secret):
    line = "&".join("%s=%s" % (k, encoded(params[k])) for k in sorted(params, key=str.lower)).lower()
    return base64.b64encode(hmac.new(secret.encode(), line.encode(), hashlib.sha1).digest()).decode()


class Api:
    first_wait = 0.2  # seconds between looks at a job, then twice as long each time

    def __init__(self, section):
        self.where, self.timeout, self.job_timeout = section.where, section["timeout"], section["job-timeout"]
        self.url = urllib.parse.urlsplit(section["url"])
        self.keys = section["keys"]
        self.key, self.secret = secret_pair(self.keys, "CloudStack's keys", "api-key", "secret-key")
        self.context = section.context() if self.url.scheme == "https" else None
        self.tls_name, self.page, self.link = section["tls-name"], PAGE, None

    # ---- one request

    def body(self, command, params):
        p = {k: str(v) for k, v in params.items()}
        p.update({"command": command, "response": "json", "apiKey": self.key, "signatureVersion": "3",
                  "expires": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(time.time() + EXPIRES))})
        p["signature"] = signature(p, self.secret)
        return urllib.parse.urlencode(p, quote_via=urllib.parse.quote)

    def exchange(self, body):
        """Status and text of the answer. A connection that the server has closed meanwhile is made anew once, before anything came of it."""
        reused = self.link is not None
        if not reused:
            self.link = connection(self.url, self.context, self.timeout, self.tls_name)
        try:
            self.link.request("POST", self.url.path or "/", body, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
            answer = self.link.getresponse()
            return answer.status, answer.read(MOST)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if reused:
                return self.exchange(body)
            raise
        except Exception:
            self.close()
            raise

    def close(self):
        if self.link:
            self.link.close()
        self.link = None

    def once(self, command, params):
        try:
            status, out = self.exchange(self.body(command, params))
        except (socket.timeout, TimeoutError):
            raise Failure("CloudStack did not answer %s within %d s (%s: timeout)" % (command, self.timeout, self.where), TIMED_OUT, "timeout")
        except ssl.SSLError as e:
            raise Failure("%s: TLS: %s; %s: ca names the authority, tls-name the certificate's name"
                          % (self.url.netloc, getattr(e, "verify_message", "") or e.reason or e, self.where), NOT_THERE)
        except (OSError, http.client.HTTPException) as e:
            raise Failure("CloudStack at %s: %s" % (self.url.netloc, getattr(e, "strerror", None) or e or type(e).__name__), NOT_THERE)
        return status, out

    def call(self, command, **params):
        """What the answer has below its one key; a job is waited for."""
        for tries in (3, 2, 1):
            status, out = self.once(command, params)
            if status not in (TOO_MANY, UNAVAILABLE) or tries == 1:
                break
            time.sleep(self.first_wait * 5)
        try:
            answer = next(iter(json.loads(out.decode()).values()))
        except (ValueError, AttributeError, StopIteration):
            raise Failure("CloudStack at %s answered %s with HTTP status %d and no JSON: is url the API's, such as https://HOST/client/api?"
                          % (self.url.netloc, command, status), NOT_THERE)
        if not isinstance(answer, dict):
            raise Failure("CloudStack answered %s with %s where an object is expected" % (command, type(answer).__name__))
        if status != 200 or "errorcode" in answer:
            raise self.failure(command, status, answer)
        if "jobid" in answer and not command.startswith(("list", "query")):
            return self.job(command, answer["jobid"])
        return answer

    def failure(self, command, status, answer):
        code = answer.get("errorcode", status)
        said = " ".join(str(answer.get("errortext", "no reason given")).split())
        advice = ADVICE.get(code, "")
        return Failure("CloudStack refused %s: %s (%s)%s" % (command, said, code, "; " + advice if advice else ""), REFUSED, code)

    # ---- jobs and lists

    def job(self, command, job):
        """The result of an asynchronous job, or its failure."""
        until, wait = time.monotonic() + self.job_timeout, self.first_wait
        while True:
            answer = self.call("queryAsyncJobResult", jobid=job)
            status = answer.get("jobstatus")
            if status == DONE:
                return answer.get("jobresult") or {}
            if status != PENDING:
                raise self.failure(command, answer.get("jobresultcode", 530), answer.get("jobresult") or {})
            if time.monotonic() > until:
                raise timed_out("CloudStack's job %s (%s) has not ended within %d s (%s: job-timeout)"
                                % (job, answer.get("cmd", command).rpartition(".")[2], self.job_timeout, self.where))
            time.sleep(wait)
            wait = min(2 * wait, 5)

    def list(self, command, entity, **params):
        """All entities, page by page."""
        found, page = [], 1
        while True:
            try:
                answer = self.call(command, page=page, pagesize=self.page, **params)
            except Failure as e:
                most = re.search(r"max allowed page size value: (\d+)", e.text)
                if not most or int(most.group(1)) >= self.page or page > 1:
                    raise
                self.page = int(most.group(1))
                continue
            got = answer.get(entity, [])
            found += got
            if len(got) < self.page:
                return found
            page += 1

    def setting(self, name, **scope):
        """A setting's value as text, None where this CloudStack does not have it."""
        for c in self.call("listConfigurations", name=name, **scope).get("configuration", []):
            if c.get("name") == name:
                return c.get("value", "")
        return None
