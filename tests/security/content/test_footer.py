# ruff: noqa: E501  hostile inputs are read as they are written
"""The footer with the link to unsubscribe is seen, whatever an author wrote before it; what would
hide it is refused."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from app.domain.content.render import Content, Footer, compile_content, template_variables
from app.errors import TemplateInvalid
from tests.browser.conftest import chromium  # noqa: F401  the fixture
from tests.security.fortress import BEARER, Fortress

HIDING = [
    "<template>", "<div hidden>", "<div hidden=until-found>", "<div popover>", "<div inert>",
    "<div style='display:none'>", "<div style='opacity:0'>", "<div style=max-height:0;overflow:hidden>",
    "<div style='height:20px;overflow:hidden'>", "<section style='content-visibility:hidden'>",
    "<textarea>", "<style>", "<title>", "<xmp>", "<iframe>", "<noembed>", "<noframes>", "<script>",
    "<plaintext>", "<noscript>", "<select>", "<select><option>", "<svg><title>", "<svg><desc>",
    "<svg><foreignObject>", "<math><annotation-xml encoding=text/html>", "<details>", "<dialog>",
    "<object>", "<video>", "<audio>", "<canvas>", "<button>", "<marquee>", "<!--", "<!-- x --!",
    "<!--[if mso]>", "<a href='", '<p title="', "<p title='>", "<img alt=\"x>",
    "<svg><style><!--", "<optgroup>", "<ruby><rp>", "<map>",
    "<style>body{display:none}</style>", "<style>body *{}html{display:none!important}</style>",
    "<style>:root{opacity:0}</style>", "<style>body{max-height:50px;overflow:hidden}</style>",
    "<style>@media screen{body{display:none}}</style>",
    "{% if name %}<template>{% endif %}", "{% if fields.x == 'z' %}<div hidden>{% endif %}",
    "{% case name %}{% when 'b' %}<details>{% endcase %}", "{% unless name %}<select>{% endunless %}",
    "{% for a in (1..2) %}<dialog>{% endfor %}", "{% if name == 'q' %}<a title='{% endif %}",
    "{% if fields.a %}{% else %}{% if name == 'q' %}<div hidden>{% endif %}{% endif %}",
]  # fmt: skip
SHOWING = [
    "", "<div>", "<table><tr><td>", "<b><i><u>", "<ul><li>", "<a href='https://example.com/'>",
    "<svg>", "<math>", "<form>", "<div style='visibility:hidden'>", "<div style='font-size:0'>",
    "<div style='color:#fff'>", "<font color=white>", "<center><font size=1>", "</div></body></html>",
    "<![CDATA[", "<frameset>",
    "<style>*{display:none}html,body{display:block}</style>",
    "<style>body > *{display:none!important}</style>", "<style>body :last-child{opacity:0!important}</style>",
    "<style>body > :last-child{visibility:hidden!important;font-size:0!important}</style>",
    "<style>.mail-footer{position:absolute!important;left:-9999px!important}</style>",
    "<style>.mail-footer,.mail-footer *{max-height:0!important;overflow:hidden!important}</style>",
    "<style>.mail-footer.mail-footer a{clip:rect(0,0,0,0)!important;clip-path:inset(50%)!important}</style>",
    "<style>div{transform:scale(0)!important}a{text-indent:-9999px!important}</style>",
    "<style>a,div{color:#fff!important;background:#fff!important}</style>",
    "<style>*{color:transparent!important;-webkit-text-fill-color:transparent!important}</style>",
    "<style>html div,html a{filter:opacity(0)!important;mask:linear-gradient(transparent,transparent)"
    "!important}</style>",
    "<style>@layer a{div{display:none!important}a{zoom:0.01!important;scale:0!important}}</style>",
    "<style>body{color:#fff}p{color:#000}</style>", "<style>body{font-size:0;line-height:0}</style>",
    "<style>@keyframes a{to{opacity:0}}div,a{animation:a 0s forwards!important}</style>",
    "<style>a{pointer-events:none!important;letter-spacing:-9px!important}</style>",
    "<div style='position:absolute;top:0;left:0;width:2000px;height:9000px;background:#fff;"
    "z-index:99999'></div>",
    "<div style='position:fixed;inset:0;background:#fff;z-index:2147483647'></div>",
    "<style>p{margin-bottom:-500px;background:#fff;position:relative;z-index:9;height:900px}</style><p>x",
    "<style>@font-face{font-family:Helvetica;src:url(x)}</style>",
]  # fmt: skip

_SEEN = """() => {
  const link = document.querySelector('.mail-footer a[href*=unsubscribe]');
  if (!link) return 'no link';
  link.scrollIntoView({block: 'center'});
  const box = link.getBoundingClientRect();
  if (box.width < 30 || box.height < 8) return `small: ${box.width} x ${box.height}`;
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) return `outside: ${x}, ${y}`;
  if (document.elementFromPoint(x, y) !== link) return 'covered';
  for (let each = link; each; each = each.parentElement) {
    const style = getComputedStyle(each);
    if (style.opacity === '0' || style.display === 'none') return each.tagName;
  }
  const style = getComputedStyle(link);
  if (style.visibility !== 'visible') return style.visibility;
  if (parseFloat(style.fontSize) < 9) return style.fontSize;
  const ink = style.webkitTextFillColor;
  if (/255, 255, 255|rgba.*, 0\\)/.test(ink)) {
    const behind = [...document.elementsFromPoint(x, y)].map(
      each => getComputedStyle(each).backgroundColor).find(color => color !== 'rgba(0, 0, 0, 0)');
    if (!behind || behind === 'rgb(255, 255, 255)') return `${ink} on ${behind}`;
  }
  return '';
}"""


def html_of(body: str) -> str:
    """Raises TemplateInvalid."""
    content = Content("Hello", f"<p>Hello</p>{body}", None, None)
    compiled = compile_content(content, Footer("Example Org", "1 Street"))
    reader = template_variables(
        email="a@example.com", name="Ann", fields={}, mailout_id="1",
        unsubscribe_url="https://example.com/unsubscribe?token=1",
    )  # fmt: skip
    return compiled.paste(compiled.values(reader)).html


@pytest.mark.few_variants(20)
@pytest.mark.parametrize("body", HIDING)
def test_a_body_that_would_hide_it_is_refused(body: str) -> None:
    with pytest.raises(TemplateInvalid) as refused:
        html_of(body)
    assert "footer" in refused.value.detail or "never closed" in refused.value.detail


async def test_it_is_refused_where_a_mailout_is_released_sent_and_shown(fortress: Fortress) -> None:
    mailout = await fortress.arrange.mailout("draft", body_html="<p>Hello<div hidden>")
    ready = await fortress.arrange.mailout(body_html="<p>Hello<template>")
    async with fortress.untouched():
        released = await fortress.http.post(f"/mailouts/{mailout}/ready", headers=BEARER)
        sent = await fortress.http.post(
            "/send-mailout", json={"mailout_id": str(ready)}, headers=BEARER
        )
    assert (released.status_code, sent.status_code) == (409, 409)
    assert "hide the footer" in released.text
    assert "hide the footer" in sent.text


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "body",
    [
        "<style>@media (min-width: 1px) { body { display: none } }</style>",
        "<style>body::after{content:'';position:fixed;inset:0;background:#fff}</style>",
        "<style>body{transform:translateX(-9999px)}</style>",
        "<style>body{ {{ fields.look }} }</style>",
    ],
)
async def test_what_cannot_be_told_is_said_before_it_is_sent(fortress: Fortress, body: str) -> None:
    mailout = await fortress.arrange.mailout(body_html=f"<p>Hello</p>{body}")
    report = await fortress.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
    assert report.status_code == 200
    assert "the footer with the link to unsubscribe is seen" in report.text


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
async def test_whatever_is_not_refused_shows_it(chromium: Browser) -> None:  # noqa: F811
    """As Chromium does: the link is there, legible, within the page, and on top."""
    context = await chromium.new_context(java_script_enabled=True, offline=True)
    page = await context.new_page()
    unseen = {}
    for body in (*SHOWING, *HIDING):
        try:
            html = html_of(body)
        except TemplateInvalid:
            continue
        await page.set_content(html, wait_until="domcontentloaded")
        if problem := await page.evaluate(_SEEN):
            unseen[body] = problem
    await context.close()
    assert unseen == {}


@pytest.mark.few_variants(12)
@pytest.mark.parametrize("body", SHOWING)
def test_nothing_else_is_refused(body: str) -> None:
    html_of(body)
