"""The parts of one sandbox, put together."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from app.sandbox.config import SandboxConfig
from app.sandbox.faults import FaultInjector, FaultPlan
from app.sandbox.ses.quota import Account
from app.sandbox.ses.send import Sender
from app.sandbox.ses.sets import ConfigurationSets
from app.sandbox.ses.suppression import SuppressionList
from app.sandbox.sns.publish import Publisher
from app.sandbox.sns.signing import signing_identity
from app.sandbox.standing.state import Rates, Standing
from app.sandbox.store import AcceptLog, Store
from app.sandbox.tracking.audience import Audience
from app.sandbox.tracking.rewriting import Tracker


class Sandbox:
    """Everything that the routes of one region share."""

    def __init__(self, config: SandboxConfig, accepted: AcceptLog) -> None:
        """accepted: of all regions."""
        self.config, self.accepted = config, accepted
        self.account = Account(config)
        self.injector = FaultInjector(config.seed)
        self.suppression = SuppressionList()
        self.identity = signing_identity()
        self.sets = ConfigurationSets(config)
        self.standing, self.standing_rates = Standing(), Rates()
        self.publisher = Publisher(config, self.identity, self.injector, self.sets)
        self.store = Store(keep=config.keep, accept_log=accepted, region=config.region)
        self.tracker = Tracker(config.base_url)
        self.readers = Audience(config, self.store, self.publisher, self.tracker)
        self.sender = Sender(
            config,
            self.account,
            self.sets,
            self.store,
            self.suppression,
            self.injector,
            self.publisher,
            self.readers,
        )
        self.requests: Counter[str] = Counter()  # by operation
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by operation, code

    def stats(self) -> dict[str, Any]:
        """Figures since the start or the last reset; `duplicates` are those of all regions."""
        store, publisher = self.store, self.publisher
        return {
            "requests": dict(self.requests),
            "answers": {operation: dict(codes) for operation, codes in self.answers.items()},
            "throttled": sum(codes["TooManyRequestsException"] for codes in self.answers.values()),
            "accepted": store.accepted.total(),
            "accepted_by_mailout": dict(store.accepted),
            "duplicates": self.accepted.duplicates,
            "duplicate_examples": self.accepted.duplicate_examples,
            "fates": dict(store.fates),
            "kept": len(store),
            "events": {
                **dict.fromkeys(("posted", "retried", "refused", "given_up"), 0),
                **publisher.figures,
                "waiting": publisher.waiting(),
                "holding": publisher.holding,
            },
            "subscriptions_confirmed": sum(
                subscription.confirmed for subscription in publisher.subscriptions.values()
            ),
        }

    def reset(self) -> None:
        """Forget mail, figures, faults, waiting events and the suppression list.

        Subscriptions stay, the account and its sets return to their configuration, an accept log's
        file keeps what is in it.
        """
        self.account.reset()
        self.sets.reset()
        self.standing, self.standing_rates = Standing(), Rates()
        self.readers.forget()
        self.injector.set(FaultPlan())
        self.suppression.clear()
        self.publisher.forget()
        self.store.reset()
        self.accepted.reset()
        self.requests.clear()
        self.answers.clear()
