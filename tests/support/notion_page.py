"""A newsletter with every block of Notion: to be rendered, looked at, and served."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from PIL import Image

from app.domain.assets.kept import Kept
from tests.support.notion_blocks import (
    Block,
    block,
    callout,
    columns,
    hosted_url,
    inline_equation,
    link,
    media,
    mention,
    paragraph,
    table,
    text,
    words,
)

COLORS = ("gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
BOAT = hosted_url("boat.png")
PARROT = hosted_url("parrot.png")

CODE = """\
def greet(name):
    if not name:
        return "Hello"

    return f"Hello, {name} & friends" """


def kept(url: str, color: str = "#2f6f8f", width: int = 1200, height: int = 600) -> Kept:
    """A picture of one colour, as an address that needs no server."""
    file = BytesIO()
    Image.new("RGB", (width, height), color).save(file, format="PNG")
    drawn = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    return Kept(drawn, width, height, sha256="a" * 64)


PICTURES = {BOAT: kept(BOAT), PARROT: kept(PARROT, "#c04020", 64, 64)}


def newsletter() -> list[Block]:
    """Everything that a mail can show."""
    return [
        words("heading_1", "The harbour in winter"),
        paragraph(
            [
                text("Dear {{ na"),
                text("me | default: “reader”", italic=True),
                text(" }},\nthis is "),
                text("bold", bold=True),
                text(", "),
                text("italic", italic=True),
                text(", "),
                text("gone", strikethrough=True),
                text(", "),
                text("underlined", underline=True),
                text(", "),
                text("code()", code=True),
                text(", a "),
                text("link", link="https://example.com/?a=1&b=2"),
                text(" and "),
                text("all", bold=True, italic=True, underline=True, color="purple"),
                text(" of it, 🎉 with "),
                mention("custom_emoji", ":parrot:", {"id": "1", "name": "parrot", "url": PARROT}),
                text(" by "),
                mention("user", "@Ann Lee", {"object": "user", "id": "2"}),
                text(" on "),
                mention("date", "2026-12-01", {"start": "2026-12-01", "end": None}),
                text(", where "),
                inline_equation("E = mc^2"),
                text(". Marks like *these*, _these_ and <b>these</b> are text."),
            ]
        ),
        media("image", BOAT, "The old pilot boat, seen from the quay", hosted=True),
        words("heading_2", "What is new"),
        words(
            "bulleted_list_item",
            "The north quay is open again",
            words("bulleted_list_item", "From Monday for boats"),
            words(
                "bulleted_list_item",
                "From Friday for everybody, so far as the weather holds, "
                "and with a ferry that goes twice an hour until late in the evening",
            ),
        ),
        words("bulleted_list_item", [text("Read "), text("more", link="https://example.com/more")]),
        words(
            "numbered_list_item",
            "First, come to the gate",
            words("numbered_list_item", "by tram", words("numbered_list_item", "line four")),
            words("numbered_list_item", "by bicycle"),
        ),
        words("numbered_list_item", "Then walk to the quay", paragraph("It takes ten minutes.")),
        words("to_do", "Book a berth", checked=True),
        words(
            "to_do",
            "Tell the harbour master which boat you come with, and how many you are, so "
            "that there is tea for all",
            words("to_do", "By phone"),
            checked=False,
        ),
        words("heading_3", "A word from the keeper"),
        words(
            "quote",
            "The sea, once it casts its spell,\nholds one in its net of wonder.",
            paragraph("Jacques Cousteau"),
        ),
        callout("Doors open at seven. Bring a lamp.", color="gray_background"),
        callout(
            [text("Storm warning", bold=True)],
            paragraph("Boats stay in on Thursday."),
            words("bulleted_list_item", "Check your lines"),
            words("bulleted_list_item", "Keep the radio on"),
            emoji="⚠️",
            color="red_background",
        ),
        callout("Without an icon, in blue.", emoji=None, color="blue_background"),
        words(
            "toggle",
            "How to get there",
            paragraph("Tram 4 to the last stop."),
            words("bulleted_list_item", "or on foot"),
        ),
        words("heading_4", "Times and prices"),
        table(
            ["Boat", "Leaves", "Price"],
            ["Pilot", "09:00", "€ 12"],
            ["Ferry", "every half hour, until midnight", "€ 4"],
            names=True,
        ),
        columns(
            [
                words("heading_3", "Morning"),
                paragraph("Coffee on deck, and a walk with the keeper round the old light."),
            ],
            [media("image", BOAT, "Afternoon", hosted=True), paragraph("A sail to the island.")],
        ),
        columns(
            [paragraph("One third of the width")],
            [callout("Two thirds", color="green_background")],
            ratios=(0.33, 0.67),
        ),
        words("code", CODE, language="python", caption=[text("Greeting readers")]),
        block("equation", {"expression": r"\frac{a + b}{2} \leq \sqrt{x^2 + y^2}"}),
        link("bookmark", "https://example.com/harbour/winter", "The harbour’s winter programme"),
        link("embed", "https://maps.example.com/a/long/path/to/the/very/end/of/the/old/quay?x=1"),
        media("video", "https://www.youtube.com/watch?v=abc", "The regatta, filmed from the tower"),
        media("audio", "https://example.com/foghorn.mp3"),
        media("pdf", "https://example.com/files/tide-table.pdf", name="tide-table.pdf"),
        block("synced_block", {"synced_from": None}, [paragraph("Said on every page.")]),
        block("tab", {}, [paragraph("Sailors", paragraph("Bring gloves."))]),
        block("divider"),
        *(paragraph(f"Words in {color}", color=color) for color in COLORS),
        *(paragraph(f"Words on {color}", color=f"{color}_background") for color in COLORS),
        paragraph("{% if fields.member %}"),
        paragraph("Only members read this."),
        paragraph("{% endif %}"),
        paragraph([text("See you soon", color="red_background"), text(" at the quay.")]),
    ]


def not_in_a_mail() -> list[Block]:
    """What a mail can't show."""
    secret = hosted_url("secret.pdf")
    return [
        block("breadcrumb"),
        block("table_of_contents", {"color": "default"}),
        words("template", "Add a row"),
        block("meeting_notes", {"title": [text("Monday")]}),
        block("child_page", {"title": "Drafts"}),
        block("child_database", {"title": "Boats"}),
        block(
            "link_to_page", {"type": "page_id", "page_id": "0b0b0b0b-0000-4000-8000-00000000000b"}
        ),
        block("unsupported", {"block_type": "button"}),
        media("image", None),
        media("file", secret, hosted=True, name="secret.pdf"),
        {"object": "block", "id": "0b0b0b0b-0000-4000-8000-00000000000c"},
    ]
