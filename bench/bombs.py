# ruff: noqa: E501  hostile inputs are read as they are written
"""What content may do to the service: mails that would take its time or memory, while another
mailout is sent at RATE mails a second.

`python -m bench.bombs` tries them all (some ten minutes), `python -m bench.bombs NAME …` these.
A line for each: what it was answered by `POST /send-mailout` and after how long, how many mails of
the other mailout left a second meanwhile, and the peak memory of the process for HTTP, the one that
sends, and the one that rendered it. What is accepted is sent, to one reader.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench.parts import (
    command,
    database,
    fill,
    ready_mailout,
    sink,
    start_directly,
    wait_for,
    wait_until_up,
)
from tests.support.ports import free_port
from tests.support.service import BEARER

RATE = 200.0
ROLES = ("HTTP", "sender")
"""In the order in which they are started."""
SENT_SECONDS = 4.0
"""How long the sending of what was accepted is watched."""

READER = "'aaaaaaaaaaaaaaaaaaaa'"


def _grown(steps: int, letter: str = "a", size: int = 10) -> str:
    put = letter * size
    return f"'{letter}'" + "".join(f" | replace: '{letter}', '{put}'" for _ in range(steps))


def _html(**bodies: str) -> dict[str, dict[str, Any]]:
    return {name.replace("_", " "): {"body_html": body} for name, body in bodies.items()}


def _markdown(**bodies: str) -> dict[str, dict[str, Any]]:
    return {name.replace("_", " "): {"body_markdown": body} for name, body in bodies.items()}


_LOOP = "{% for a in (1..9999) %}"
_END = "{% endfor %}"

BOMBS: dict[str, dict[str, Any]] = {
    "none: a letter": {"body_html": "<p>Hello {{ name }}"},
    # Liquid
    **_html(
        big_integers="{% assign x = 99999999 %}"
        + "{% assign x = x | times: x %}" * 17
        + _LOOP
        + "{{ x }}"
        + _END,
        replace_of_data="{{ fields.x " + "| replace: 'a', 'aaaaaaaaaa' " * 8 + "}}",
        replace_of_a_literal="{{ " + _grown(9) + " }}",
        replace_of_nothing="{{ " + READER + "| replace: '', 'aaaaaaaaaaaaaaaaaaaa' " * 6 + "}}",
        appended="{% assign s = 'aaaaaaaaaa' %}"
        + "{% assign s = s | append: s %}" * 30
        + "{{ s }}",
        captured="{% assign s = 'a' %}" + "{% capture s %}{{ s }}{{ s }}{% endcapture %}" * 30,
        split_and_join="{% assign s = 'a b c d' | split: ' ' %}"
        + "{% assign s = s | join: 'xxxxxxxxxx x' | split: 'x' %}" * 20
        + "{{ s.size }}",
        concatenated="{% assign s = 'a b c d' | split: ' ' %}"
        + "{% assign s = s | concat: s %}" * 30
        + "{{ s.size }}",
        date_of_great_width="{{ 'now' | date: '%999999999Y' }}",
        date_of_many="{{ 'now' | date: '" + "%c" * 20_000 + "' }}",
        sliced=_LOOP + "{{ " + _grown(4) + " | slice: 1, 9999 }}" + _END,
        url_encoded="{{ '" + "/" * 30_000 + "'" + " | url_encode" * 8 + " }}",
        escaped="{{ '" + "&" * 30_000 + "'" + " | escape" * 8 + " }}",
        escaped_json="{{ '" + "\\" * 30_000 + "'" + " | json" * 8 + " }}",
        base64="{{ " + _grown(4) + " | base64_encode" * 30 + " }}",
        loops_in_loops=_LOOP * 4 + "x" + _END * 4,
        loops_over_letters="{% assign s = "
        + _grown(3)
        + " | split: '' %}"
        + "{% for a in s %}{% for b in s %}{% for c in s %}{{ a }}{% endfor %}{% endfor %}{% endfor %}",
        long_bodies_in_loops=_LOOP + "x" * 60_000 + _END,
        ifs="{% if name %}x{% endif %}" * 200_000,
        raws="{% raw %}" * 100_000,
        raws_with_ends="{% raw %}{% endraw %}" * 50_000,
        comments="{% comment %}" * 50_000,
        outputs="{{ name }}" * 100_000,
        output_that_never_ends="{{" * 300_000,
        tag_that_never_ends="{%" * 300_000,
        strings_that_never_end="{{ '" * 100_000,
        filters="{{ name " + "| upcase " * 50_000 + "}}",
        parts_of_a_path="{{ fields" + ".a" * 100_000 + "}}",
        brackets_of_a_path="{{ fields" + "[fields" * 20_000 + "]" * 20_000 + "}}",
        parentheses="{% if " + "(" * 20_000 + "name" + ")" * 20_000 + " %}x{% endif %}",
        conditions="{% if name" + " and name" * 50_000 + " %}x{% endif %}",
        deep_ifs="{% if name %}" * 10_000 + "x" + "{% endif %}" * 10_000,
        elsifs="{% if name == '1' %}" + "{% elsif name == '2' %}" * 50_000 + "{% endif %}",
        whens="{% case name %}" + "{% when 'a' %}x" * 50_000 + "{% endcase %}",
        quotes="{{ '" + "'\"" * 200_000 + " }}",
        assigned="".join(f"{{% assign a{n} = 'x' %}}" for n in range(40_000)),
        cycles=_LOOP + "{% cycle " + ", ".join("'x'" for _ in range(10_000)) + " %}" + _END,
        table_rows="{% tablerow a in (1..9999) cols: 1 %}{% tablerow b in (1..9999) %}x"
        "{% endtablerow %}{% endtablerow %}",
        stripped_html="{{ '" + "<" * 300_000 + "' | strip_html }}",
        stripped_comments="{{ '" + "<!--" * 100_000 + "' | strip_html }}",
        stripped_newlines=_LOOP
        + "{{ "
        + _grown(4)
        + " | strip_newlines | strip | squish }}"
        + _END,
        truncated_words=_LOOP + "{{ " + _grown(4) + " | truncatewords: 5000 }}" + _END,
        sorted_again="{% assign s = "
        + _grown(4, "a ")
        + " | split: ' ' %}"
        + _LOOP
        + "{% assign t = s | sort_natural | uniq | reverse %}"
        + _END,
        range_of_huge="{% for a in (1..999999999999) %}x{% endfor %}",
        reversed_range="{% for a in (1..999999999) reversed %}x{% endfor %}",
        divided="{{ 1 | divided_by: 3.0 | round: 999999999 }}",
        raised="{{ '1e999999999' | times: 2 }}{{ '9' | times: '1e308' | times: '1e308' | ceil }}",
        liquid_in_css="<style>"
        + "".join(f".a{n} {{ color: {{{{ name }}}}; }}" for n in range(8_000))
        + "</style><p class=a1>x</p>",
        literal_backslashes="<p>" + "\\" * 40_000 + "</p>",
        literal_braces="<p>" + "}" * 40_000 + "</p>",
        six_hundred_kilobytes_of_backslashes="<p>" + "\\" * 600_000 + "</p>",
        six_hundred_kilobytes_of_braces="<p>" + "}" * 600_000 + "</p>",
        backslashes_between_holes="<p>" + ("\\" * 300 + "{{ name }}" + "}" * 300) * 1_000 + "</p>",
    ),
    # HTML and CSS
    **_html(
        selectors="<style>"
        + "".join(f".a{n}{{color:red}}" for n in range(100_000))
        + "</style><p>x",
        selectors_of_one_rule="<style>"
        + ",".join(f".a{n}" for n in range(100_000))
        + "{color:red}</style><p>x",
        nested_nots="<style>" + "p:not(" * 5_000 + "a" + ")" * 5_000 + "{color:red}</style><p>x",
        descendants="<style>" + "div " * 20_000 + "{color:red}</style>" + "<div>" * 150 + "x",
        many_descendants=(
            "<style>"
            + "".join(f"{'div ' * 30}.a{n % 9}{{color:red}}" for n in range(3_000))
            + "</style>"
            + "<div class=a1>" * 150
        ),
        siblings="<style>" + "p~p~p~p~p~p~p~b{color:red}" * 200 + "</style>" + "<p></p>" * 3_000,
        children_of_nth="<style>"
        + ":nth-last-of-type(2n+1){color:red}" * 500
        + "</style>"
        + "<p>x</p>" * 5_000,
        media_in_media="<style>"
        + "@media screen{" * 20_000
        + "p{color:red}"
        + "}" * 20_000
        + "</style><p>x",
        supports_in_supports="<style>" + "@supports (a:b){" * 5_000 + "</style><p>x",
        css_brackets="<style>p{color:" + "(" * 200_000 + "}</style><p>x",
        css_comments="<style>" + "/*" * 200_000 + "</style><p>x",
        css_escapes="<style>p{content:'" + "\\" * 200_000 + "'}</style><p>x",
        declarations="<style>p{" + "color:red;" * 50_000 + "}</style>" + "<p>x</p>" * 200,
        rules_times_elements="<style>" + "p{color:red}" * 2_000 + "</style>" + "<p>x</p>" * 2_000,
        attribute="<p title='" + "a" * 2_000_000 + "'>x</p>",
        attributes="<p " + " ".join(f"a{n}=b" for n in range(50_000)) + ">x</p>",
        style_attribute="<p style='" + "color:red;" * 100_000 + "'>x</p>",
        deep_html="<div>" * 100_000,
        deep_closed_html="<div>" * 100_000 + "x" + "</div>" * 100_000,
        formatting_elements="<b><i><u><p>" * 20_000,
        adoption="<b>" * 150 + "<p>" * 3_000,
        tables_in_tables="<table><tr><td>" * 5_000,
        misnested="<a><table>" * 5_000,
        closing_tags="</p>" * 300_000,
        opening_brackets="<" * 600_000,
        tags_that_never_end="<a href='" * 60_000,
        attributes_that_never_end="<a " + "b='" * 100_000,
        comments_that_never_end="<!--" * 100_000,
        entities="&amp" * 200_000,
        long_entity="&" + "a" * 600_000 + ";",
        numeric_entities="&#x1F600;" * 100_000,
        huge_numeric_entity="&#" + "9" * 600_000 + ";",
        data_address="<img src='data:image/png;base64," + "A" * 3_000_000 + "'>",
        links="<a href='https://example.com/'>x</a>" * 50_000,
        textareas="<textarea>" * 50_000,
        conditional_comments="<!--[if mso]>" * 50_000,
        svg="<svg>" * 5_000 + "<a xlink:href='x'>",
        blanks="<p" + " " * 1_000_000 + "a",
        lists="<ul><li>" * 20_000,
    ),
    # Markdown
    **_markdown(
        table="\n".join(["|" + "a|" * 1_000, "|" + "-|" * 1_000, *["|" + "a|" * 1_000] * 1_000]),
        wide_table="|" + "a|" * 100_000 + "\n|" + "-|" * 100_000 + "\n|a|",
        short_rows="|" + "a|" * 3_000 + "\n|" + "-|" * 3_000 + "\n" + "|a|\n" * 3_000,
        emphasis="*a " * 100_000,
        nested_emphasis="*" * 100_000 + "a" + "*" * 100_000,
        mixed_emphasis="**a *b _c " * 30_000,
        nested_quotes=">" * 100_000 + " a",
        nested_lists="\n".join(" " * 2 * n + "- a" for n in range(1_000)),
        nested_links="[" * 50_000 + "a" + "](b)" * 50_000,
        open_brackets="[" * 200_000,
        open_pictures="![" * 100_000,
        bracket_links="[a](" * 100_000,
        backticks="".join("`" * n + "a" for n in range(1, 1_500)),
        html_comments="<!--" * 100_000,
        html_declarations="<!A " * 100_000,
        html_instructions="<?" * 200_000,
        references="".join(f"[a{n}]: b\n" for n in range(50_000)) + "[a1]" * 50_000,
        reference_bomb="[a]: " + "b" * 50_000 + "\n\n" + "[a]" * 5_000,
        nested_references="".join(f"[a{n}]: b\n" for n in range(5_000)) + "[a" * 50_000,
        footnotes="[^a]" * 50_000 + "\n\n[^a]: b",
        nested_footnotes="".join(f"[^a{n}]: [^a{n + 1}]\n\n" for n in range(20_000)) + "[^a0]",
        bare_addresses="https://example.com/" + "a." * 200_000,
        addresses="a@b" * 200_000,
        strikes="~~a " * 100_000,
        entities_in_markdown="&amp;" * 200_000,
        lines="a\n" * 500_000,
        setext="a\n" * 50_000 + "=",
        dollars="$a " * 100_000,
        liquid_lines="{% if name %}\n\n- a\n{% endif %}\n" * 5_000,
    ),
    # Elsewhere in a mail
    "subject": {"subject": "{{ " + _grown(9)[:440] + " }}", "body_html": "<p>x"},
    "subject of a loop": {
        "subject": "{% for a in (1..9999) %}{% for b in (1..9999) %}{% endfor %}{% endfor %}x",
        "body_html": "<p>x",
    },
    "preheader": {
        "preheader": "{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}",
        "body_html": "<p>x",
    },
    "text": {"body_html": "<p>x", "body_text": "\\" * 600_000},
    "text of outputs": {"body_html": "<p>x", "body_text": "{{ name }}" * 100_000},
}


class Memory:
    """The peak resident memory of the service's processes by their role, in MB."""

    def __init__(self, supervisor: int) -> None:
        self._supervisor = supervisor
        self._peaks: dict[str, float] = defaultdict(float)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def taken(self) -> dict[str, float]:
        """Since it was asked last."""
        found, self._peaks = self._peaks, defaultdict(float)
        return found

    def close(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            for role, megabytes in self._now():
                self._peaks[role] = max(self._peaks[role], megabytes)

    def _now(self) -> list[tuple[str, float]]:
        parents: dict[int, list[int]] = defaultdict(list)
        for each in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parents[int(each.read_text().rsplit(")", 1)[1].split()[1])].append(
                    int(each.parent.name)
                )
        roles = dict(zip(sorted(parents[self._supervisor]), ROLES, strict=False))
        found, waiting = [], list(roles)
        while waiting:
            pid = waiting.pop()
            waiting += parents[pid]
            with suppress(OSError, StopIteration):  # it has just ended
                status = Path(f"/proc/{pid}/status").read_text()
                resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
                found.append((roles.get(pid, "rendering"), int(resident.split()[1]) / 1024))
        return found


def main(names: list[str]) -> None:
    """Prints a table."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder) / "data") as dsn:
        fill(dsn, int(RATE * 600))
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        with (
            psycopg.connect(dsn, autocommit=True) as sql,
            sink() as target,
            command(
                dsn, target.url, "serve", PORT=str(port), APP_BASE_URL=base,
                RATE_LIMIT_PER_SEC=str(RATE),
            ) as service,
            httpx.Client(base_url=base, headers=BEARER, timeout=120) as http,
        ):  # fmt: skip
            wait_for(dsn, "select count(*) from send_rates where rate is not null", 1)
            wait_until_up(base)
            sql.execute(
                "insert into subscribers (email, name, tags, fields) "
                "values ('bomb@example.com', 'Ann', '{bomb}', jsonb_build_object('x', %s::text))",
                ["a" * 100],
            )
            start_directly(dsn, ready_mailout(dsn))
            while not target.stats()["first"]:
                time.sleep(0.05)
            time.sleep(3)
            memory = Memory(service.process.pid)
            print("| bomb | answer | seconds | others/s | HTTP MB | sender MB | rendering MB |")
            print("|---|---|---|---|---|---|---|")
            for name in names:
                print(tried(name, sql, http, target, memory), flush=True)
            memory.close()


def tried(name: str, sql: Any, http: httpx.Client, target: Any, memory: Memory) -> str:
    row = {"subject": "Hello", **BOMBS[name]}
    columns = ", ".join(row)
    mailout = sql.execute(
        f"insert into mailouts ({columns}, status, audience) values "
        f"""({", ".join("%s" for _ in row)}, 'ready', '{{"tags": ["bomb"]}}') returning id::text""",
        list(row.values()),
    ).fetchone()[0]
    memory.taken()
    begun, before = time.monotonic(), target.stats()["mails"]
    answer = http.post("/send-mailout", json={"mailout_id": mailout})
    took = time.monotonic() - begun
    said = answer.json()
    if answer.status_code == 202:
        time.sleep(SENT_SECONDS)
        sql.execute("update mailouts set status = 'cancelled' where id = %s", [mailout])
    while time.monotonic() - begun < 3:
        time.sleep(0.05)
    rate = (target.stats()["mails"] - before) / (time.monotonic() - begun)
    peaks = memory.taken()
    words = f"{answer.status_code} {said.get('limit') or said.get('code') or said.get('status')}"
    figures = " | ".join(f"{peaks[role]:.0f}" for role in ("HTTP", "sender", "rendering"))
    return f"| {name} | {words} | {took:.2f} | {rate:.0f} | {figures} |"


if __name__ == "__main__":
    main(sys.argv[1:] or list(BOMBS))
