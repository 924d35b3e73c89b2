"""Tokens in links: only as they were signed, for whom, for what, and as long as their secret."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import string
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer

import app
from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import InvalidToken, UnsubscribeTokens
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from tests.security.fortress import BEARER, SECRET, Fortress, fortress_at
from tests.support.databases import DatabaseServer
from tests.support.service import UNSUBSCRIBE_SECRET

OLD = "Zk8RbYc5Hd7Jf1Ns6Pg4UaWq3vT9xLm2"
BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
ROADS = ("/unsubscribe", "/resubscribe", "/confirm")
SIGNERS: dict[str, Callable[[UUID], str]] = {
    "/unsubscribe": lambda someone: UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(someone, None),
    "/confirm": SignupTokens([UNSUBSCRIBE_SECRET]).sign,
    "/resubscribe": lambda someone: ResubscribeTokens([UNSUBSCRIBE_SECRET]).sign(
        Mistake(someone, 1)
    ),
}


async def post(fortress: Fortress, road: str, token: str) -> httpx.Response:
    return await fortress.http.post(road, params={"token": token})


def changed(token: str) -> list[str]:
    """What isn't quite it: one of each kind for the roads; test_every… has them all."""
    last = BASE64URL.index(token[-1])
    middle = len(token) // 2
    payload, _, signature = token.rpartition(".")
    return [
        "", ".", token[:-1], token[1:], token[:middle], token + "=", token + "==", f" {token}",
        f"{token} ", f"{token}\n", f"{token}\0", token[:9] + "\0" + token[10:], token + "A",
        token[:9] + " " + token[9:], *(token[:-1] + BASE64URL[last ^ bit] for bit in (1, 2, 3)),
        payload + ".", "." + signature, token + "." + signature,
        token.replace(".", ""), token.upper(), token.lower(), token.swapcase(), token[::-1],
        f"{payload}=.{signature}", f"{payload}. {signature}",
        f"{payload}.{signature[:9]}!{signature[9:]}",
        f"{payload}..{signature}", token.translate(str.maketrans("-_", "+/")) + "+", "\uff11" * 88,
        token[:5] + chr(ord(token[5]) ^ 1) + token[6:], token + token, "A" * 5_000,
    ]  # fmt: skip


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("road", ROADS)
async def test_19_what_isnt_quite_the_token_is_invalid(fortress: Fortress, road: str) -> None:
    someone = await fortress.arrange.subscriber()
    async with fortress.untouched():
        answers = [await post(fortress, road, bad) for bad in changed(SIGNERS[road](someone))]
        answers += [await fortress.http.post(f"{road}?{query}") for query in ("", "token=%FF%00")]
        right = SIGNERS[road](someone)
        for others in (right, "x", ""):
            for pair in ((right, others), (others, right)):
                answers.append(await fortress.http.post(road, params={"token": pair}))
    assert {answer.status_code for answer in answers} <= {400, 431}
    assert len({answer.content for answer in answers if answer.status_code == 400}) == 1


@pytest.mark.short
@pytest.mark.parametrize("road", ROADS)
def test_19_every_other_character_in_every_place_is_invalid(road: str) -> None:
    """On the roads' own readers: there are thousands."""
    token = SIGNERS[road](UUID(int=7))
    verify: Callable[[str], object] = {
        "/unsubscribe": UnsubscribeTokens([UNSUBSCRIBE_SECRET]).verify,
        "/confirm": SignupTokens([UNSUBSCRIBE_SECRET]).verify,
        "/resubscribe": ResubscribeTokens([UNSUBSCRIBE_SECRET]).verify,
    }[road]
    verify(token)
    for place, is_now in enumerate(token):
        for other in f"{BASE64URL}+/=. \n\0":
            instead = token[:place] + other + token[place + 1 :]
            inserted = token[: place + 1] + other + token[place + 1 :]
            for bad in (inserted, *([instead] if other != is_now else [])):
                with pytest.raises(InvalidToken):
                    verify(bad)


async def test_20_a_token_is_for_one_person_and_one_purpose(fortress: Fortress) -> None:
    anna, ben = await fortress.arrange.subscriber(), await fortress.arrange.subscriber()
    mailout = await fortress.arrange.mailout("sent")
    tokens = UnsubscribeTokens([UNSUBSCRIBE_SECRET])
    of_anna, of_ben = tokens.sign(anna, mailout), tokens.sign(ben, mailout)
    mixed = [
        f"{of_ben.partition('.')[0]}.{of_anna.partition('.')[2]}",
        UnsubscribeTokens(["Jf1Ns6Pg4UaWq3vT9xLm2Zk8RbYc5Hd7"]).sign(anna, mailout),
        UnsubscribeTokens([SECRET]).sign(anna, mailout),
        str(URLSafeTimedSerializer(UNSUBSCRIBE_SECRET, salt="preferences").dumps([anna.hex])),
        str(URLSafeTimedSerializer(UNSUBSCRIBE_SECRET).dumps([anna.hex])),
    ]
    async with fortress.untouched():
        for road in ROADS:
            for token in [*mixed, *(SIGNERS[other](anna) for other in ROADS if other != road)]:
                assert (await post(fortress, road, token)).status_code == 400, (road, token)
            if (
                road != "/unsubscribe"
            ):  # nor for one who isn't there, or a change that isn't the last
                assert (await post(fortress, road, SIGNERS[road](uuid4()))).status_code == 400
                assert (await post(fortress, road, SIGNERS[road](anna))).status_code == 400


async def test_20_a_token_of_a_test_mail_changes_nobody(fortress: Fortress) -> None:
    someone = await fortress.arrange.subscriber()
    token = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(someone, None, test=True)
    real = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(someone, None)
    async with fortress.untouched():
        answer = await post(fortress, "/unsubscribe", token)
        assert answer.status_code == 200
        assert "test" in answer.text
        flag = (
            real[:1] + token[1:23] + real[23:]
        )  # the flags of the one, the signature of the other
        assert (await post(fortress, "/unsubscribe", flag)).status_code == 400


async def test_20_links_work_for_years_until_their_secret_is_taken_out(
    postgres_server: DatabaseServer, sandbox: SandboxServer, providers: ProvidersServer,
    fortress: Fortress,
) -> None:  # fmt: skip
    """UNSUBSCRIBE_SECRET: the first signs, all verify."""
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        both = {"UNSUBSCRIBE_SECRET": f"{UNSUBSCRIBE_SECRET}, {OLD}"}
        async with fortress_at(dsn, sandbox.url, providers, **both) as rotated:
            someone = await rotated.arrange.subscriber("anna@example.com")
            for secret in (OLD, UNSUBSCRIBE_SECRET):
                link = UnsubscribeTokens([secret]).sign(someone, None)
                answer = await post(rotated, "/unsubscribe", link)
                assert answer.status_code == 200
                assert "You are unsubscribed" in answer.text
    after = await fortress.arrange.subscriber()
    async with fortress.untouched():
        link = UnsubscribeTokens([OLD]).sign(after, None)
        assert (await post(fortress, "/unsubscribe", link)).status_code == 400


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("road", ROADS)
async def test_21_json_web_tokens_are_nothing_here(fortress: Fortress, road: str) -> None:
    someone = await fortress.arrange.subscriber()
    claims = _part({"sub": str(someone), "email": "a@example.com", "exp": 9999999999})
    tokens = []
    for header in (
        {"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {"alg": "RS256"}, {"alg": ""},
        {"alg": "HS256", "kid": "../../../../dev/null"}, {"alg": "HS256", "kid": "' or 1=1--"},
        {"alg": "HS256", "jku": "http://169.254.169.254/"}, {"alg": "ES256", "jwk": {"kty": "oct"}},
        {"alg": "HS256", "zip": "DEF"}, {"b64": False, "crit": ["b64"], "alg": "HS256"},
    ):  # fmt: skip
        signed = f"{_part(header)}.{claims}"
        mac = hmac.new(UNSUBSCRIBE_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
        tokens += [f"{signed}.", f"{signed}.{'A' * 43}", f"{signed}.{signature}"]
    async with fortress.untouched():
        answers = [await post(fortress, road, token) for token in tokens]
    assert {answer.status_code for answer in answers} == {400}


_SECRETS = ("app/domain/tokens.py", "app/services/access/callers.py", "app/domain/notion/events.py",
            "app/api/dashboard/session.py", "app/domain/providers/signatures.py")  # fmt: skip


def _compares(path: str) -> int:
    tree = ast.parse((Path(app.__file__).parent.parent / path).read_text("utf-8"))
    return sum(
        isinstance(node, ast.Call) and ast.unparse(node.func) == "hmac.compare_digest"
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("path", _SECRETS)
def test_23_secrets_are_compared_in_constant_time(path: str) -> None:
    """How long it takes is measured by `python -m bench.timing`, not here: a busy machine has no
    constant time. (The timed tokens are compared so by itsdangerous, keys by their hashes.)"""
    assert _compares(path) >= 1


async def test_23_a_secret_is_compared_whole(
    fortress: Fortress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is presented, by compare_digest alone."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def noting(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    for presented in (SECRET, "x" + SECRET[1:], SECRET[:-1] + "x", "x"):
        compared.clear()
        await fortress.http.get("/jobs", headers={"X-Auth-Token": presented})
        assert compared == [(presented.encode(), SECRET.encode())]
    assert (await fortress.http.get("/jobs", headers=BEARER)).status_code == 200
