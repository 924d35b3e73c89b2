"""Print a `service_role` key for the compose file's `supabase` profile.

python3 docker/supabase/service_key.py [ENV_FILE]      (`.env` unless another is named)

A JSON Web Token, HS256 (RFC 7519), signed with PGRST_JWT_SECRET of that file, without expiry. A
real Supabase project hands out its own key. Needs nothing but Python.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path

MIN_SECRET_BYTES = 32  # PostgREST refuses a shorter one


def service_key(secret: str) -> str:
    """The key that PostgREST accepts as the role `service_role`. Raises ValueError."""
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"PGRST_JWT_SECRET must have at least {MIN_SECRET_BYTES} characters")
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {"role": "service_role", "iss": "amazonsender"}
    content = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()
    return f"{content}.{_encode(signature)}"


def read_secret(env_file: Path) -> str:
    """PGRST_JWT_SECRET of the file; empty when it isn't set there."""
    for line in env_file.read_text("utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "PGRST_JWT_SECRET":
            return value.strip().strip("'\"")
    return ""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    try:
        env_file = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
        print(service_key(read_secret(env_file)))  # noqa: T201
    except (OSError, ValueError) as error:
        sys.exit(f"service_key.py: {error}")
