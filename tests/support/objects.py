"""A private server of the S3 protocol for tests: moto's, in a process of its own, which ends with ours.

It checks signatures and permissions, does conditional writes, and shows an object only once all of it has
arrived, as S3 does. (`rclone serve s3` shows the half of one that is still being sent, and deletes what was
there before when the rest never comes.) It keeps everything in its memory.
"""

from __future__ import annotations

import io
import json
import logging
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any, Self

import boto3  # type: ignore[import-untyped]

from pipelines.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
UNGUARDED = 3
"""Calls that need no permission: those that make a user who has one."""
ALLOWED = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


class Server:
    """Runs between `with Server() as server:` and the end of that block."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.objects", host], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.endpoint = self._process.stdout.readline().strip()
        assert self.endpoint, "the object storage did not start"
        self.key, self.secret = self._make_user()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()

    @property
    def environment(self) -> dict[str, str]:
        """Where it is and who may use it, as a program of ours is told."""
        return {
            "TURNWISE_STORAGE_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
        }

    def client(self, service: str = "s3") -> Any:
        """boto3's, for a look from outside."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def create_bucket(self) -> str:
        """The name of a new, empty one."""
        name = f"test-{secrets.token_hex(8)}"
        self.client().create_bucket(Bucket=name)
        return name

    def _make_user(self) -> tuple[str, str]:
        self.key = self.secret = "nobody"
        users = self.client("iam")
        users.create_user(UserName="tests")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})
        users.put_user_policy(UserName="tests", PolicyName="all", PolicyDocument=policy)
        made = users.create_access_key(UserName="tests")["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]


Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def one_at_a_time(application: Application) -> Application:
    """What moto keeps is not made for several threads. Nobody waits for a request that has not arrived."""
    turn = Lock()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        size_bytes = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size_bytes)
        if len(body) < size_bytes:
            start_response("400 Bad Request", [])
            return []
        environ["wsgi.input"] = io.BytesIO(body)
        with turn:
            return list(application(environ, start_response))

    return answer


def serve(host: str) -> None:
    """Prints where it listens, and serves until it is killed."""
    from moto import settings  # noqa: PLC0415
    from moto.moto_server import werkzeug_app as app  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    settings.INITIAL_NO_AUTH_ACTION_COUNT = UNGUARDED
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    application = one_at_a_time(app.DomainDispatcherApplication(app.create_backend_app))
    server = make_server(host, 0, application, threaded=True, request_handler=app.MotoRequestHandler)
    print(f"http://{host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    die_with_parent()
    serve(sys.argv[1])
