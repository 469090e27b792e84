"""The shops' webhooks, looked at and kept alive: the step, and the sensor that is a shell round it.

What to do is decided in `webhook_health.py`. Deltas run whatever happens here, so that a dead
webhook costs time and no order. How deliveries come in is in `sensors/webhooks/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from resources.errors import ContractBroken, Remedy, RemoteError, SignInAgain
from resources.settings import Settings
from resources.store import audit, exceptions, webhooks
from resources.store.engine import connected, one_at_a_time
from resources.systems.woocommerce import WooCommerce
from resources.wiring import Systems
from sensors.webhook_health import (
    MANY_MENDS,
    TOPICS,
    Decision,
    Deed,
    Remembered,
    Seen,
    Status,
    Wanted,
    decisions,
    mended_lately,
)
from sync_assets.domain.orders import Problem
from sync_assets.trouble import exceptional

UNHEALTHY, FAILING = "webhook.unhealthy", "webhook.failing"
#: Deeds after which events are delivered that were not before.
MENDS = frozenset({Deed.CREATE, Deed.REACTIVATE, Deed.RECREATE, Deed.REPOINT})
#: As it should be.
CALM = frozenset({Deed.LEAVE, Deed.FOREIGN})
#: Nothing to carry out.
IDLE = CALM | {Deed.WAIT, Deed.DOUBLED}


@dataclass(frozen=True)
class Finding:
    """One webhook: what was decided, and what became of it."""

    decision: Decision
    webhook_id: str | None
    status: Status
    fault: RemoteError | None = None
    mended_count: int = 0

    @property
    def is_healthy(self) -> bool:
        """Whether it delivers, and did so all the time."""
        return not self.decision.is_trouble and self.fault is None


@dataclass
class Health:
    """How the webhooks of one store stand."""

    store: str
    findings: list[Finding] = field(default_factory=list)
    #: Why nothing could be looked at, if so.
    skipped: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nobody needs to know."""
        return not self.skipped and all(one.is_healthy for one in self.findings)


def expected(settings: Settings, store: str) -> tuple[str, str] | None:
    """Address and newest secret of a store's webhooks; None where it has none of ours."""
    keys, public_url = settings.stores[store].webhook_secrets, settings.receiver.public_url
    if not keys or public_url is None:
        return None
    url = f"{public_url.rstrip('/')}/webhooks/woocommerce/{store}"
    return url, keys[0].get_secret_value()


def look(systems: Systems, store: str) -> Health:
    """Decide what would be done about a store's webhooks, and do nothing."""
    wish = expected(systems.settings, store)
    if wish is None:
        return Health(store, skipped=NOT_CONFIGURED)
    with connected(systems.engine) as connection:
        wanted = _wanted(connection, store, *wish)
    with systems.shop(store) as shop:
        found = decisions(wanted, _seen(shop), systems.now())
    return Health(store, [Finding(one, _id(one), one.status) for one in found])


NOT_CONFIGURED = "no webhooks: `webhook_secrets` of the store or `receiver.public_url` is missing"


def mend(
    systems: Systems,
    store: str,
    *,
    resume: bool = False,
    by: str | None = None,
    run_id: str | None = None,
) -> Health:
    """Bring a store's webhooks to what they should be, one process at a time; tell what was wrong.

    A shop that cannot be asked keeps its rows and exceptions: a failed look is not an empty one.
    """
    wish = expected(systems.settings, store)
    if wish is None:
        return Health(store, skipped=NOT_CONFIGURED)
    with (
        connected(systems.engine) as lock,
        one_at_a_time(lock, f"webhooks of {store}"),
        systems.shop(store) as shop,
    ):
        with connected(systems.engine) as connection:
            wanted = _wanted(connection, store, *wish)
        try:
            seen = _seen(shop)
        except RemoteError as fault:
            _tell_unseen(systems, store, fault, run_id)
            return Health(store, skipped=str(fault))
        health, now = Health(store), systems.now()
        hand = _Hand(shop, wish[1], now)
        for decision in decisions(wanted, seen, now, resume=resume):
            finding = hand.do(decision)
            health.findings.append(finding)
            with connected(systems.engine) as connection:
                _remember(connection, store, finding, wish[1], now)
                if by is not None and decision.deed not in IDLE:
                    _audit(connection, by, store, finding, now)
    _tell(systems, health, run_id)
    return health


class _Hand:
    """Carries decisions out; a shop that does not let us is not asked again and again."""

    def __init__(self, shop: WooCommerce, secret: str, now: datetime) -> None:
        self.shop, self.secret, self.now = shop, secret, now
        self.barred: RemoteError | None = None

    def do(self, decision: Decision) -> Finding:
        """Do what was decided, and say what became of it."""
        before = Finding(decision, _id(decision), decision.status)
        if decision.deed in IDLE:
            return before
        if self.barred is not None:
            return replace(before, fault=self.barred)
        try:
            webhook_id = self._done(decision)
        except RemoteError as fault:
            if isinstance(fault, SignInAgain):
                self.barred = fault
            return replace(before, fault=fault)
        if decision.deed == Deed.REMOVE:
            return replace(before, status=Status.MISSING)
        return Finding(decision, webhook_id, Status.ACTIVE, mended_count=_mends(decision, self.now))

    def _done(self, decision: Decision) -> str:
        """The id of the webhook that is there now."""
        wanted, seen, shop = decision.wanted, decision.seen, self.shop
        assert wanted is not None
        if decision.deed in (Deed.CREATE, Deed.RECREATE):
            made = shop.create_webhook(wanted.topic, wanted.delivery_url, self.secret, wanted.name)
            if seen is not None:  # only now: a failure in between leaves two, not none
                shop.delete_webhook(seen.webhook_id)
            return str(made["id"])
        assert seen is not None
        if decision.deed == Deed.REMOVE:
            shop.delete_webhook(seen.webhook_id)
            return seen.webhook_id
        shop.update_webhook(
            seen.webhook_id,
            status=Status.ACTIVE.value,
            delivery_url=wanted.delivery_url,
            secret=self.secret,
        )
        return seen.webhook_id


def _mends(decision: Decision, now: datetime) -> int:
    """How many mends in a row this one makes; a change of ours is none."""
    if decision.deed not in MENDS or not decision.is_trouble or decision.wanted is None:
        return 0
    ours = decision.wanted.ours
    return ours.mended_count + 1 if ours and mended_lately(ours, now) else 1


def _id(decision: Decision) -> str | None:
    return decision.seen.webhook_id if decision.seen else None


def _seen(shop: WooCommerce) -> list[Seen]:
    return [_read(shop.name, one) for one in shop.webhooks()]


def _read(system: str, webhook: dict[str, Any]) -> Seen:
    """A webhook as the shop shows it; a word of its own for the status would be news to us."""
    try:
        changed = webhook.get("date_modified_gmt") or webhook.get("date_created_gmt")
        return Seen(
            str(webhook["id"]),
            str(webhook["topic"]),
            Status(webhook["status"]),
            str(webhook["delivery_url"]),
            str(webhook.get("name") or ""),
            datetime.fromisoformat(changed).replace(tzinfo=UTC) if changed else None,
        )
    except (KeyError, ValueError, TypeError) as fault:
        raise ContractBroken(system, f"webhook {webhook['id']} is not what we know") from fault


# What we remember


def _wanted(connection: Connection, store: str, url: str, secret: str) -> list[Wanted]:
    rows = webhooks.of_store(connection, store)
    return [
        Wanted(topic, url, _remembered(rows[topic], secret) if topic in rows else None)
        for topic in TOPICS
    ]


def _remembered(row: dict[str, Any], secret: str) -> Remembered:
    return Remembered(
        row["webhook_id"],
        row["delivery_url"],
        webhooks.fits(secret, row["secret_digest"]),
        row["healthy_at"],
        row["mended_at"],
        row["mended_count"],
    )


def _remember(
    connection: Connection, store: str, finding: Finding, secret: str, now: datetime
) -> None:
    """Write down how the webhook of a topic stands; others have no row."""
    decision = finding.decision
    if decision.wanted is None or decision.deed in (Deed.REMOVE, Deed.DOUBLED):
        return
    is_ours = finding.fault is None and decision.deed != Deed.WAIT
    is_healthy = is_ours and decision.deed in (Deed.LEAVE, Deed.REKEY)
    shown = decision.seen or decision.wanted
    row = webhooks.Row(
        store,
        decision.topic,
        finding.webhook_id,
        finding.status.value,
        decision.wanted.delivery_url if is_ours else shown.delivery_url,
        decision.why,
        webhooks.digest(secret) if is_ours and decision.deed != Deed.LEAVE else None,
        now if is_healthy else None,
        now if finding.mended_count else None,
        finding.mended_count,
    )
    webhooks.remember(connection, row, now)


# What people are told


def _tell(systems: Systems, health: Health, run_id: str | None) -> None:
    """Open what is wrong, and close what is healthy again."""
    levels, subject = systems.settings.service_levels, _subject(health.store)
    found = [
        exceptional(Problem(*_problem(one)), subject, levels, sender_ref=one.webhook_id)
        for one in health.findings
        if not one.is_healthy
    ]
    with connected(systems.engine) as connection:
        exceptions.reconcile(
            connection,
            found,
            subjects=[subject],
            codes=[UNHEALTHY, FAILING],
            now=systems.now(),
            run_id=run_id,
        )


def _tell_unseen(systems: Systems, store: str, fault: RemoteError, run_id: str | None) -> None:
    """Tell that the shop does not show its webhooks; one that is away is told by whoever reads."""
    if fault.remedy == Remedy.RETRY:
        return
    problem = Problem(UNHEALTHY, "", f"the shop does not show its webhooks: {fault}")
    one = exceptional(problem, _subject(store), systems.settings.service_levels)
    with connected(systems.engine) as connection:
        exceptions.open_all(connection, [one], now=systems.now(), run_id=run_id)


def _subject(store: str) -> str:
    return f"{store}/webhooks"


def _problem(finding: Finding) -> tuple[str, str, str]:
    """Code, part and message; the more often it was mended, the louder."""
    decision = finding.decision
    is_loud = finding.mended_count >= MANY_MENDS
    lost = (
        f"; what happened since {decision.since:%Y-%m-%d %H:%M:%S} UTC came with deltas only"
        if decision.is_trouble and decision.since
        else ""
    )
    part = decision.topic
    if decision.deed == Deed.DOUBLED:  # one topic may have several
        part = f"{decision.topic} {finding.webhook_id}"
    message = f"{decision.topic}: {decision.why}{lost}. {outcome(finding)}"
    if is_loud:
        message += (
            f" That was mend {finding.mended_count} in a row: can the shop reach our address, and "
            "does it answer 2xx within a minute?"
        )
    return FAILING if is_loud else UNHEALTHY, part, message


DONE = {
    Deed.LEAVE: "Nothing to do.",
    Deed.CREATE: "It was set up.",
    Deed.REACTIVATE: "It was switched on.",
    Deed.RECREATE: "A new one was set up in its place.",
    Deed.REPOINT: "It was given our address.",
    Deed.REKEY: "It was given our newest secret.",
    Deed.REMOVE: "It was removed.",
    Deed.WAIT: "It was left so.",
    Deed.DOUBLED: "It was left.",
    Deed.FOREIGN: "It was left.",
}


def outcome(finding: Finding) -> str:
    """What became of a decision, in a sentence."""
    fault = finding.fault
    if fault is None:
        return DONE[finding.decision.deed]
    if isinstance(fault, SignInAgain):
        return (
            f"The shop does not let us mend it ({fault}); give the key write right, or do it in "
            "the shop under WooCommerce, Settings, Advanced, Webhooks."
        )
    return f"Mending it failed: {fault}"


def _audit(connection: Connection, by: str, store: str, finding: Finding, now: datetime) -> None:
    decision = finding.decision
    audit.record(
        connection,
        by,
        f"webhook.{decision.deed}",
        _subject(store),
        now,
        topic=decision.topic,
        webhook_id=finding.webhook_id,
        done=finding.fault is None,
    )


# The sensor


def build(*, is_on: bool) -> dg.SensorDefinition:
    """The sensor that looks after the webhooks of every store."""

    @dg.sensor(
        name="webhook_health",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        description="Looks after the webhooks of every store: sets up what is missing, switches "
        "on what the shop disabled, and opens an exception. Starts no run.",
    )
    def webhook_health(
        context: dg.SensorEvaluationContext, systems: dg.ResourceParam[Systems]
    ) -> dg.SkipReason:
        found = [mend(systems, store) for store in systems.settings.stores]
        return dg.SkipReason("; ".join(summary(found)) or "there are no stores")

    return webhook_health


def summary(found: Iterable[Health]) -> list[str]:
    """One clause a store: whether all is well, or what was done."""
    return [f"{one.store}: {_summed(one)}" for one in found]


def _summed(health: Health) -> str:
    if health.skipped:
        return health.skipped
    done = [one for one in health.findings if one.decision.deed not in IDLE]
    failed = [one for one in done if one.fault is not None]
    told = [f"{one.decision.deed} {one.decision.topic}" for one in done if one.fault is None]
    if failed:
        told.append(f"{len(failed)} failed")
    return (
        ", ".join(told) or "all webhooks are active"
        if health.is_good
        else ", ".join(told or ["a person must look"])
    )
