"""The same domain as NSD serves it, a DNS server that others wrote; skipped where it is missing."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.dns.resolver import DnsResolver
from app.domain.dns.questions import Question
from app.services.domains.look import look_at
from tests.dns.desk import DOMAIN, MAIL_FROM, REGION, TOKENS, Ses, by_code
from tests.dns.test_look import KEY
from tests.dns.zones import SES_NETWORKS
from tests.support.ports import free_port
from tests.support.waiting import eventually

NSD = shutil.which("nsd") or shutil.which("/usr/sbin/nsd")
pytestmark = pytest.mark.skipif(NSD is None, reason="NSD is not installed")


def quoted(text: str) -> str:
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


def zone(*lines: str) -> str:
    return "\n".join(
        ["@ 60 IN SOA ns.invalid. h.invalid. 1 1 1 1 1", "@ 60 IN NS ns.invalid.", *lines, ""]
    )


ZONES = {
    DOMAIN: zone(
        "@ 60 IN MX 10 mx",
        f"@ 60 IN TXT {quoted('v=spf1 ' + 'ip4:192.0.2.1 ' * 290 + '-all')}",
        f"_dmarc 60 IN TXT {quoted('v=DMARC1; p=reject')}",
        *(f"{one}._domainkey 60 IN CNAME {one}.dkim.amazonses.com." for one in TOKENS[:2]),
        f"bounce 60 IN MX 10 feedback-smtp.{REGION}.amazonses.com.",
        f"bounce 60 IN TXT {quoted('v=spf1 include:amazonses.com ~all')}",
    ),
    "amazonses.com": zone(
        f"@ 60 IN TXT {quoted(SES_NETWORKS)}",
        *(f"{one}.dkim 60 IN TXT {quoted(KEY)}" for one in TOKENS),
    ),
}


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert NSD
    folder, port = tmp_path_factory.mktemp("nsd"), free_port()
    settings = [
        "server:",
        f"  ip-address: 127.0.0.1@{port}",
        f'  username: "{getpass.getuser()}"',
        *(f'  {name}: "{folder}/{name}"' for name in ("pidfile", "xfrdfile", "zonelistfile")),
        f'  database: ""\n  zonesdir: "{folder}"\n  chroot: ""\n  xfrdir: "{folder}"',
        f'  logfile: "{folder}/log"\n  server-count: 1',
        "remote-control:\n  control-enable: no",
    ]
    for name, text in ZONES.items():
        Path(folder, name).write_text(text)
        settings.append(f'zone:\n  name: "{name}"\n  zonefile: "{name}"')
    Path(folder, "conf").write_text("\n".join(settings) + "\n")
    command = [NSD, "-d", "-c", str(folder / "conf")]
    with subprocess.Popen(command, env=dict(os.environ)) as child:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            child.terminate()


async def test_a_domain_as_nsd_serves_it(nsd: str) -> None:
    resolver = DnsResolver((nsd,))
    await eventually(
        lambda: resolver.ask(Question(f"_dmarc.{DOMAIN}", "TXT")),
        until=lambda answer: answer.state == "found",
    )
    seen = await look_at(f"news@{DOMAIN}", {REGION: Ses()}, resolver)
    looks = by_code(seen)
    assert {code for code, one in looks.items() if one.level != "ok"} == {"dkim:ccc", "own_spf"}
    assert looks["dkim:ccc"].state == "missing"
    assert "characters" in looks["own_spf"].what, "4 KB came whole"
    assert seen.verdict.what.endswith(f"by DKIM ({DOMAIN}) and SPF ({MAIL_FROM}).")
    assert (await resolver.ask(Question(DOMAIN, "A"))).state == "nodata"
    assert (await resolver.ask(Question(f"gone.{DOMAIN}", "A"))).state == "nxdomain"
    assert (await resolver.ask(Question("strange.example", "A"))).state == "unknown", "REFUSED"
