"""The made-up streams are judged as their labels say, and the handbook shows how."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from app.domain.engagement.agents import PROXIES
from app.domain.engagement.signals import BEST_FIRST
from tests.engagement.streams import Judged, judged

HANDBOOK = Path(__file__).parents[2] / "docs" / "engagement.md"
BEGIN, END = "<!-- table of the streams -->\n", "<!-- end of the table -->"


def found(stream: str) -> list[Judged]:
    return [each for each in judged() if each.stream == stream]


def told(stream: str) -> list[tuple[str, str, str]]:
    return [(each.by, each.signal.kind, each.verdict.class_) for each in found(stream)]


def test_no_person_is_called_a_machine_and_no_machine_a_person() -> None:
    for each in judged():
        wrong = {("person", "machine"), ("machine", "human")}
        assert (each.by, each.verdict.class_) not in wrong, each
        # What nobody can know, nobody claims to.
        assert each.by != "either" or each.verdict.class_ == "unknown", each


def test_each_reader_is_seen_in_the_end() -> None:
    """By the best of what they did, as a report counts them."""
    classes: dict[str, set[str]] = {}
    for each in judged():
        if each.by == "person":
            classes.setdefault(each.stream, set()).add(each.verdict.class_)
    unsure = {name for name, seen in classes.items() if "human" not in seen}
    assert unsure == {"quick", "unknown, reader at once"}


def test_the_person_behind_a_scanner_with_the_same_labels_is_human() -> None:
    later = [each for each in found("unknown") if each.by == "person"]
    assert {(each.signal.network, each.signal.agent) for each in found("unknown")} == {("", "")}
    assert [each.verdict.class_ for each in later] == ["human", "human"]


def test_the_three_scanners_are_machines() -> None:
    for stream in ("microsoft", "proofpoint", "unknown"):
        scanned = [each for each in told(stream) if each[0] == "machine"]
        assert len(scanned) > 4
        assert {class_ for _, _, class_ in scanned} == {"machine"}, stream


def test_opens_through_proxies_are_a_persons_and_through_apples_relay_anybodys() -> None:
    for each in judged():
        if each.signal.kind == "open" and each.signal.network == "apple-relay":
            assert each.verdict.class_ == "unknown"
        if each.signal.kind == "open" and each.signal.agent in PROXIES and each.by == "person":
            assert each.verdict.class_ == "human"


def test_a_forwarded_mail_was_read_by_people() -> None:
    assert {class_ for _, _, class_ in told("forwarded")} == {"human"}
    reasons = {each.verdict.reason for each in found("forwarded")}
    assert "passed_on" in reasons


def table() -> str:
    """Signals of the streams by who did them and what they were judged to be."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for each in judged():
        for who in (each.who, "**all**"):
            counts[who, each.by, each.verdict.class_] += 1
    rows = list(dict.fromkeys((who, by) for who, by, _ in counts if who != "**all**"))
    rows += [("**all**", by) for by in ("person", "machine", "either")]
    lines = [f"| stream | in truth | {' | '.join(BEST_FIRST)} |", "|---|---|---|---|---|"]
    for who, by in rows:
        cells = " | ".join(str(counts[who, by, class_]) for class_ in BEST_FIRST)
        lines.append(f"| {who} | {by} | {cells} |")
    return "\n".join(lines) + "\n"


def test_the_handbook_shows_the_table() -> None:
    handbook = HANDBOOK.read_text("utf-8")
    assert handbook.partition(BEGIN)[2].partition(END)[0] == table()


if __name__ == "__main__":
    before, _, rest = HANDBOOK.read_text("utf-8").partition(BEGIN)
    HANDBOOK.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")
