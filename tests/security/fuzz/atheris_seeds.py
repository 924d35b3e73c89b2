"""Sound inputs of each of the parsers in targets.py, to begin with."""

from __future__ import annotations

SEEDS = {
    "events": [
        b'{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:us-east-1:1:t","Message":"x"}',
        b'{"eventType":"Bounce","mail":{"messageId":"m","tags":{"mailout_id":["x"]}},'
        b'"bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"a@b.test"}]}}',
        b'[{"event":"delivered","sg_event_id":"1","timestamp":1,"email":"a@b.test"}]',
        b'{"signature":{"timestamp":"1","token":"t","signature":"s"},'
        b'"event-data":{"event":"delivered","id":"1","timestamp":1.0}}',
    ],
    "csv": [
        b'email,name,tags\na@example.com,Ann,"x;y"\n',
        b"\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00",
        b'sep=;\nEmail Address;Status\n"a@example.com" ;unsubscribed\n',
    ],
    "content": [
        b"0<p style='color:red'>Hi {{ name | default: 'you' }}</p>"
        b"{% for x in (1..3) %}{{ x }}{% endfor %}",
        b"1# Hi {{ name }}\n\n| a | b |\n|---|---|\n| {{ fields.city }} | x |\n\n- [ ] *a* <b>",
        b"0<style>p > a:hover { color: red }</style><table><tr><td>{% if name %}x{% endif %}",
    ],
    "subject": [
        b"Hello {{ name | upcase }}, {% if fields.city %}from {{ fields.city }}{% endif %}"
    ],
    "blocks": [
        b'[{"id":"00000000-0000-0000-0000-000000000007",'
        b'"type":"paragraph","paragraph":{"rich_text":[{"type":"text","plain_text":"a",'
        b'"text":{"content":"a","link":{"url":"https://example.com"}},"annotations":{"bold":true}}]}}]',
        b'[{"id":"00000000-0000-0000-0000-000000000007","type":"table",'
        b'"table":{"table_width":2,"has_column_header":true},"children":[{"type":"table_row",'
        b'"id":"00000000-0000-0000-0000-000000000007",'
        b'"table_row":{"cells":[[],[]]}}]}]',
    ],
    "addresses": [b"ann@example.com", "ann@b\u00fccher.example".encode()],
}
