"""What opens and clicks prove: labels at the door, verdicts by versioned rules. Pure.

Who did what is told by `networks.network_of` and `agents.agent_of` while the event is at hand; the
address and the user agent are dropped then. `rules.judge` gives each signal its verdict from what
was kept. docs/engagement.md has the rules with their sources and what they can't know.
"""
