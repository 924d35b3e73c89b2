"""`/ses-events` as it is usually written: every event verified, and in a transaction of its own.

`python -m bench.one_by_one KIND PORT DSN PEM`. KIND `glue`: FastAPI and a pool of psycopg, which
keeps each event once and moves its row, and nothing else (no counts, no guards, no log). KIND
`nothing`: reads a body and answers, without any framework: what the load generator and the server
can do at most.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fastapi import FastAPI, HTTPException, Request
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.service import TOPIC

SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
INSERT = """
    insert into ses_events (sns_message_id, type, message_id, mailout_id, send_log_id, payload,
                            occurred_at)
    values (%s, %s, %s, %s, %s, %s, %s)
    on conflict (sns_message_id) do nothing returning id"""
DELIVERED = """
    update send_logs set status = 'delivered', event_at = %s
     where id = %s and attempt_id = %s and status in ('sending', 'sent', 'unknown')"""
BOUNCED = """
    update send_logs set status = 'bounced', event_at = %s, bounce_type = %s
     where id = %s and attempt_id = %s and status <> 'complained'"""
SUPPRESSED = """
    update subscribers set status = 'bounced'
     where id = (select subscriber_id from send_logs where id = %s) and status = 'active'"""


def glue(dsn: str, pem: bytes) -> FastAPI:
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    pool = AsyncConnectionPool(dsn, min_size=10, max_size=10, open=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/ses-events")
    async def ses_events(request: Request) -> dict[str, bool]:
        envelope = json.loads(await request.body())
        if envelope["TopicArn"] != TOPIC:
            raise HTTPException(403)
        signed = "".join(f"{name}\n{envelope[name]}\n" for name in SIGNED if name in envelope)
        signature = base64.b64decode(envelope["Signature"])
        try:
            key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA1())
        except InvalidSignature as exc:
            raise HTTPException(403) from exc
        await record(envelope["MessageId"], json.loads(envelope["Message"]))
        return {"recorded": True}

    async def record(sns_id: str, event: dict[str, Any]) -> None:
        kind, mail = event["eventType"].lower(), event["mail"]
        tags = {name: values[0] for name, values in mail["tags"].items()}
        row, attempt, at = tags["send_log_id"], tags["attempt"], event[kind]["timestamp"]
        async with pool.connection() as sql:  # commits at its end
            new = await sql.execute(
                INSERT,
                [sns_id, kind, mail["messageId"], tags["mailout_id"], row, Jsonb(event), at],
            )
            if await new.fetchone() is None:
                return
            if kind == "delivery":
                await sql.execute(DELIVERED, [at, row, attempt])
            elif kind == "bounce":
                bounce = event["bounce"]["bounceType"]
                await sql.execute(BOUNCED, [at, bounce, row, attempt])
                if bounce == "Permanent":
                    await sql.execute(SUPPRESSED, [row])

    return app


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    length = (b"content-length", b"17")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b'{"recorded":true}'})


def main(kind: str, port: int, dsn: str, pem: Path) -> None:
    logging.disable()
    app: ASGIApp = glue(dsn, pem.read_bytes()) if kind == "glue" else nothing
    uvicorn.run(app, port=port, access_log=False, log_config=None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
