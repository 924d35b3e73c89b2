"""What other programs' templates leave in a mail is found, with what to write here; text is not."""

from __future__ import annotations

import pytest

from app.domain.content.render import Content, Footer, compile_content
from app.domain.leftovers.find import leftovers
from app.errors import TemplateInvalid
from app.services.checks.writing import check_writing

NAME, UNSUBSCRIBE = "{{ name }}", "{{ unsubscribe_url }}"

LEFTOVERS = [
    ("*|FNAME|*", NAME), ("*|LIST:ADDRESS|*", "nothing"),
    ("*|MC:SUBJECT|*", "{{ mailout.subject }}"),
    ("*|EMAIL|*", "{{ email }}"), ("*|CITY|*", "{{ fields.city }}"), ("*|UNSUB|*", UNSUBSCRIBE),
    ("*%7CUNSUB%7C*", UNSUBSCRIBE), ("*|IF:VIP|*", "{% if fields.vip %}…{% endif %}"),
    ("*|ELSE:|*", "{% else %}"), ("*|END:IF|*", "{% endif %}"), ("*|DATE:Y|*", "%Y"),
    ("*|CURRENT_YEAR|*", "%Y"), ("*|ARCHIVE|*", "nothing"),
    ("%recipient.first_name%", NAME), ("%recipient.city%", "{{ fields.city }}"),
    ("%unsubscribe_url%", UNSUBSCRIBE), ("%FIRSTNAME%", NAME),
    ("[[name]]", NAME), ("[[FIRSTNAME]]", NAME), ("[[firstname OR \"friend\"]]", NAME),
    ('[[data:firstname:"friend"]]', NAME), ("[[UNSUB_LINK_EN]]", UNSUBSCRIBE),
    ("[[shoe_size]]", "{{ fields.shoe_size }}"),
    ("{first_name}", NAME), ("{FIRSTNAME}", NAME), ("{name}", NAME), ("{$name}", NAME),
    ('{first_name, "reader"}', NAME), ("{contact.city}", "{{ fields.city }}"),
    ("{contactfield=firstname}", NAME), ("{unsubscribe_url}", UNSUBSCRIBE), ("{!firstname}", NAME),
    ("{order_number}", "{{ fields.order_number }}"), ("%7Bfirst_name%7D", NAME),
    ("<%= name %>", NAME), ("<%= @user.first_name %>", NAME), ("&lt;%= name %&gt;", NAME),
    ("<%asm_group_unsubscribe_raw_url%>", UNSUBSCRIBE),
    ("%%first_name%%", NAME), ("%%unsubscribe%%", UNSUBSCRIBE), ("-name-", NAME),
    ("-first_name-", NAME), ("[First Name]", NAME), ("[firstname,fallback=friend]", NAME),
    ("[FIRST_NAME/friend]", NAME), ("[UNSUBSCRIBEURL]", UNSUBSCRIBE), ("${name}", NAME),
    ("{city}", "{{ fields.city }}"),
    ("##name##", NAME), ("$[FNAME]$", NAME), ("«First_Name»", NAME), ("<<First Name>>", NAME),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), LEFTOVERS)
def test_each_is_found_with_its_line_and_what_to_write_here(text: str, wanted: str) -> None:
    for source in (
        f"<p>Hi</p>\n<p>Dear {text}, {{{{ name }}}}</p>\n<p>Bye</p>",
        f"Dear {text},",
        f"Dear\n\n{text}!",
    ):
        for kind in ("html", "markdown", "text"):
            found = leftovers(source, kind)
            assert [each.text for each in found] == [text], kind
            assert wanted in found[0].instead
            assert found[0].line == source[: source.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    "text",
    ["*|EMAIL|*", "*%7CEMAIL%7C*", "%recipient.email%", "{email}", "[[email]]", "%7Bemail%7D"],
)
def test_it_is_found_in_a_link(text: str) -> None:
    link = f"https://example.com/?e={text}"
    assert [each.text for each in leftovers(f'<a href="{link}">x</a>', "html")] == [text]
    assert [each.text for each in leftovers(f"[x]({link})", "markdown")] == [text]


def test_a_bracket_is_an_address_in_a_link() -> None:
    found = leftovers('<a href="[unsubscribe]">[unsubscribe]</a>', "html")
    assert [each.text for each in found] == ["[unsubscribe]"]


ORDINARY = [
    "<style>.a{name:x} .b{color:red}\n.c{}</style>",
    "<style>\n@media print { .name { color: red } }</style><p>Text</p>",
    '<p class="{name}" style="a:{name}" onclick="{name}">x</p>',
    "<script>let a = {name}; b = [name]</script>",
    "<pre>Hello {first_name} and *|FNAME|*</pre><code>[[name]]</code>",
    "<!-- *|IF:MC_PREVIEW_TEXT|* --><p>x</p>",
    "{% raw %}*|FNAME|* {name}{% endraw %}",
    "{% comment %}*|FNAME|*{% endcomment %}",
    "{{ name }} {{ fields['first_name'] }} {% if name %}x{% endif %}",
    "Prices [1] and [2], 50%off% 100% sure, 5% to 10%, 20%–30%",
    "Not - name - but first-name-field, e-mail-name, --name--",
    "{} {0} {1} { color: red } {a: 1} { x } {x} { name: 'a' } ${amount} C# #name @name",
    "[x] [ ] [sic] [...] [Anzeige] [Link] a[name] [email](mailto:a@b.example) [1]: x",
    "https://example.com/%20name%20/{id}?q=%C3%A4&email=a%40b.example",
    "a|b | *|* | *a* | 3*|x|2 [[1]](https://example.com) [[1, 2], [3]]",
    "Set %PATH% and %APPDATA%. Call f(name). He said «email» and « name ».",
    "100%%off%% and [City], [Company]; <a href='{{ unsubscribe_url }}'>[Unsubscribe]</a>",
    "if [[ -f name ]]; then; a <% b; 100%name",
    "The first_name column, **name**, _name_, ~name~, $name, name@example.com",
]


@pytest.mark.parametrize("source", ORDINARY)
def test_ordinary_text_is_no_leftover(source: str) -> None:
    assert leftovers(source, "html") == leftovers(source, "markdown") == []


def test_code_in_markdown_is_no_leftover() -> None:
    source = "Use `{first_name}`:\n\n```\n[[name]] *|FNAME|*\n```\n\n~~~\n%%name%%\n~~~\n"
    assert leftovers(source, "markdown") == []
    assert [each.line for each in leftovers(f"{source}{{name}}", "markdown")] == [10]
    links = "[name][1], [Name]\n\n[1]: https://e.com\n[Name]: https://e.com"
    assert leftovers(links, "markdown") == []


def test_findings_name_field_lines_and_remedy() -> None:
    content = Content(
        "Hello *|FNAME|*",
        None,
        "Dear {first_name},\n\n*|LIST:ADDRESS|*\n\n{first_name}",
        "[[name]]",
        "%%name%%",
    )
    found = [(each.level, each.what) for each in check_writing(content)]
    assert [level for level, _ in found] == ["fail", "fail", "warn", "fail", "warn"]
    for (_, what), part in zip(
        found,
        ["“*|FNAME|*” (subject)", "(preheader)", "{first_name}” (body_markdown, lines 1, 5)",
         "(body_markdown, line 3)", "“[[name]]” (body_text)"],
        strict=True,
    ):  # fmt: skip
        assert part in what
    assert "write {{ name }}" in check_writing(content)[0].remedy


def test_many_are_summed_up() -> None:
    body = "\n".join(f"*|FIELD{n}|*" for n in range(30))
    findings = check_writing(Content("s", f"<p>{body}</p>", None, None))
    assert len(findings) == 9
    assert "22 more placeholders" in findings[-1].what


@pytest.mark.parametrize(
    ("liquid", "wanted"),
    [("{{ fields.First Name }}", 'fields["First Name"]'),
     ("{{ fields.First Name | default: 'x' }}", 'fields["First Name"]'),
     ("{% if fields.First Name %}x{% endif %}", 'fields["First Name"]'),
     ("{% if fields.a and fields.First Name == 'x' %}x{% endif %}", 'fields["First Name"]'),
     ("{{{raw}}}", "{{ fields.raw }}"), ("{{{ name }}}", NAME), ("{{{unsubscribe}}}", UNSUBSCRIBE),
     ("{{contact.FIRSTNAME}}", NAME), ("{{ subscriber.first_name }}", NAME),
     ("{{ contact.city }}", "{{ fields.city }}"), ("{{ first_name }}", NAME),
     ("{{ person.email }}", "{{ email }}"), ("{{ unsubscribe_link }}", UNSUBSCRIBE),
     ("{{ .Subscriber.FirstName }}", NAME), ("{{ UnsubscribeURL }}", UNSUBSCRIBE),
     ('{{var:firstname:"x"}}', NAME), ("{{ First Name }}", NAME),
     ("{% unsubscribe %}", UNSUBSCRIBE),
     ("{{#if vip}}x{{/if}}", "{% if fields.vip %}"), ("{{#if name}}x{{/if}}", "{% if name %}"),
     ("{{#each items}}x{{/each}}", "{% for item in fields.items %}"), ("{{else}}", "{% else %}"),
     ("{{^vip}}x{{/vip}}", "{% unless fields.vip %}"),
     ("{{ name or 'friend' }}", '{{ name | default: "friend" }}'),
     ('{{ name || "friend" }}', '{{ name | default: "friend" }}'),
     ("{{ name ?? 'friend' }}", '{{ name | default: "friend" }}'),
     ("{{ name | default: “friend” }}", "straight"), ("{{ name | upper }}", "upcase")],
)  # fmt: skip
def test_liquid_of_others_is_refused_with_what_to_write(liquid: str, wanted: str) -> None:
    with pytest.raises(TemplateInvalid) as raised:
        compile_content(Content("s", f"<p>Hi</p>\n<p>{liquid}</p>", None, None), Footer("o", "a"))
    assert wanted in raised.value.detail
    assert "line 2" in raised.value.detail
