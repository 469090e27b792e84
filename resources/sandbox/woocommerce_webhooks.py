"""The webhooks of a WooCommerce stand-in: what is queued, when it is sent, and when it gives up.

One attempt an event, bodies read at delivery, a count of failures that nothing but a success
resets: as the recorded store did. The REST routes are in `woocommerce_webhook_answers.py`.
"""

import hashlib
import hmac
import random
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import httpx

from resources.sandbox.woocommerce_call import rendered
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_till import VERSION

Post = Callable[[httpx.Request], httpx.Response]

#: More failures in a row than this, and the next one disables the webhook.
MOST_FAILURES = 5
#: Redirects that a ping follows and a delivery does not; what they lead to is taken to say 200.
FOLLOWED_BY_PINGS = frozenset({301, 302, 307})
#: A receiver has a minute; then the delivery counts as failed, whatever became of it there.
PATIENCE_SECONDS = 60
CANNOT_VIEW = "Sorry, you cannot view this resource."


@dataclass
class Hook:
    """One webhook; its secret is never shown."""

    id: int
    topic: str
    name: str
    delivery_url: str
    secret: str
    created: datetime
    modified: datetime | None = None
    status: str = "active"
    failures: int = 0
    #: Until a ping was answered with exactly 200, every delivery is followed by another one.
    is_unanswered: bool = True

    @property
    def resource(self) -> str:
        """The kind of thing it is about."""
        return self.topic.partition(".")[0]

    @property
    def event(self) -> str:
        """What happens to the thing."""
        return self.topic.partition(".")[2]


@dataclass(frozen=True)
class Waiting:
    """One call to come: a ping, or the news of one thing."""

    hook_id: int
    thing_id: int | None
    due_at: datetime


@dataclass
class Mishaps:
    """What may go wrong with deliveries, as shares of one; seeded, so that it can be repeated."""

    lost: float = 0
    doubled: float = 0
    reordered: float = 0
    delayed: float = 0
    delay: timedelta = timedelta(seconds=60)
    seed: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311

    def strikes(self, share: float) -> bool:
        """Whether this delivery is hit; a share of nothing draws no lot."""
        return share > 0 and self.random.random() < share


class Webhooks:
    """The webhooks of one store and the queue of their deliveries."""

    def __init__(
        self, home: str, now: Callable[[], datetime], read: Callable[[str, int], str]
    ) -> None:
        """`read` gives the text of a thing as REST shows it, or raises the store's refusal."""
        self.home, self.now, self.read = home, now, read
        self.hooks: dict[int, Hook] = {}
        self.waiting: list[Waiting] = []
        self.mishaps = Mishaps()
        #: The user who made the webhooks may lose the right to read what they tell of.
        self.owner_can_read = True
        self._last_id = 0
        #: Webhook and thing of what waits: a long queue is not searched for each piece of news.
        self._news: set[tuple[int, int | None]] = set()
        self._lock = threading.RLock()

    def add(self, topic: str, delivery_url: str, secret: str, name: str, status: str) -> Hook:
        """Set one up; it is pinged before anything else is sent."""
        with self._lock:
            self._last_id += 1
            hook = Hook(self._last_id, topic, name, delivery_url, secret, self.now(), status=status)
            self.hooks[hook.id] = hook
            self.waiting.append(Waiting(hook.id, None, self.now()))
            return hook

    def change(self, hook: Hook, **changes: str) -> None:
        """Change one; another address is pinged, and the count of failures stays as it is."""
        with self._lock:
            moves = changes.get("delivery_url", hook.delivery_url) != hook.delivery_url
            for name, value in changes.items():
                setattr(hook, name, value)
            hook.modified = self.now()
            if moves:
                hook.is_unanswered = True
                self.waiting.append(Waiting(hook.id, None, self.now()))

    def remove(self, hook: Hook) -> None:
        """Forget one, and what waits for it."""
        with self._lock:
            del self.hooks[hook.id]
            self.waiting = [one for one in self.waiting if one.hook_id != hook.id]
            self._news = {(one.hook_id, one.thing_id) for one in self.waiting}

    def tell(self, topic: str, thing_id: int) -> None:
        """Queue the news for every active webhook of the topic, once while one waits."""
        with self._lock:
            for hook in self.hooks.values():
                is_wanted = hook.topic == topic and hook.status == "active"
                if is_wanted and (hook.id, thing_id) not in self._news:
                    self._news.add((hook.id, thing_id))
                    self.waiting.append(Waiting(hook.id, thing_id, self._due_at()))

    def queued(self) -> list[tuple[str, int]]:
        """What waits, as topic and thing; pings left out."""
        with self._lock:
            return [
                (self.hooks[one.hook_id].topic, one.thing_id)
                for one in self.waiting
                if one.thing_id is not None
            ]

    def deliver(self, post: Post, most: int | None = None) -> int:
        """Send what is due, one after another; answer how many calls were made.

        At most what waits now: a receiver that writes to the shop could feed it for ever.
        """
        with self._lock:
            left = len(self.waiting) if most is None else most
        calls = 0
        while left > 0 and (one := self._next()) is not None:
            left -= 1
            if one.thing_id is None:
                calls += self._ping(self.hooks[one.hook_id], post)
            elif not self.mishaps.strikes(self.mishaps.lost):
                calls += self._tell(self.hooks[one.hook_id], one.thing_id, post)
        return calls

    def _due_at(self) -> datetime:
        is_late = self.mishaps.strikes(self.mishaps.delayed)
        return self.now() + (self.mishaps.delay if is_late else timedelta())

    def _next(self) -> Waiting | None:
        """Take the first that is due, or another one where the order is upset."""
        with self._lock:
            now = self.now()
            taken = next((one for one in self.waiting if one.due_at <= now), None)
            if taken is None:
                return None
            if self.mishaps.strikes(self.mishaps.reordered):
                due = [one for one in self.waiting if one.due_at <= now]
                taken = self.mishaps.random.choice(due)
            self.waiting.remove(taken)
            self._news.discard((taken.hook_id, taken.thing_id))
            return taken

    def _ping(self, hook: Hook, post: Post) -> int:
        """Say that the webhook is there: a form, neither named nor signed."""
        request = httpx.Request(
            "POST", hook.delivery_url, headers=HEADERS, data={"webhook_id": str(hook.id)}
        )
        status = _answered(post, request)
        if status == 200 or status in FOLLOWED_BY_PINGS:
            with self._lock:
                hook.is_unanswered, hook.modified = False, self.now()
        return 1

    def _tell(self, hook: Hook, thing_id: int, post: Post) -> int:
        """Make the one attempt, count how it ended, and ping who never answered a ping."""
        with self._lock:
            request = self._request(replace(hook), thing_id)
        status, calls = _answered(post, request), 1
        self._count(hook, status)
        if self.mishaps.strikes(self.mishaps.doubled):
            _answered(post, request)
            calls += 1
        return calls + (self._ping(hook, post) if hook.is_unanswered else 0)

    def _request(self, hook: Hook, thing_id: int) -> httpx.Request:
        body = self.body(hook, thing_id).encode()
        headers = {
            **HEADERS,
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": f"{self.home}/",
            "X-WC-Webhook-Topic": hook.topic,
            "X-WC-Webhook-Resource": hook.resource,
            "X-WC-Webhook-Event": hook.event,
            "X-WC-Webhook-Signature": signature(hook.secret, body),
            "X-WC-Webhook-ID": str(hook.id),
            "X-WC-Webhook-Delivery-ID": self._delivery_id(hook),
        }
        return httpx.Request("POST", hook.delivery_url, headers=headers, content=body)

    def body(self, hook: Hook, thing_id: int) -> str:
        """What is said of a thing now, whatever it was when the news was queued."""
        if hook.resource == "action":
            return rendered({"action": hook.event, "arg": thing_id})
        if hook.event == "deleted":
            return rendered({"id": thing_id})
        try:
            if not self.owner_can_read:
                raise Declined(403, "woocommerce_rest_cannot_view", CANNOT_VIEW)
            return self.read(hook.resource, thing_id)
        except Declined as refusal:
            return rendered(refusal.body)

    def _delivery_id(self, hook: Hook) -> str:
        """Made of webhook and second, so that what leaves in one second shares it."""
        seed = f"{hook.id}{int(self.now().timestamp())}"
        return hmac.new(self.home.encode(), seed.encode(), hashlib.md5).hexdigest()

    def _count(self, hook: Hook, status: int) -> None:
        with self._lock:
            if 200 <= status <= 302:
                hook.failures = 0
                return
            if hook.failures > MOST_FAILURES:
                hook.status = "disabled"
            else:
                hook.failures += 1
            hook.modified = self.now()


HEADERS = {
    "User-Agent": f"WooCommerce/{VERSION} Hookshot (WordPress/7.0.4)",
    "Accept": "*/*",
    "Accept-Encoding": "deflate, gzip, br, zstd",
    "Connection": "close",
}


def signature(secret: str, body: bytes) -> str:
    """The signature of a body as sent, byte for byte."""
    return b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _answered(post: Post, request: httpx.Request) -> int:
    """The status of the answer; 0 where there was none."""
    try:
        return post(request).status_code
    except httpx.TransportError:
        return 0


class Telling(Protocol):
    """A shop that has something to deliver."""

    def deliver(self, post: Post, most: int | None = None) -> int:
        """Send what is due."""


@contextmanager
def pumping(
    shops: Iterable[Telling], seconds: float, post: Post | None = None
) -> Iterator[threading.Thread]:
    """Deliver for some shops every few seconds, in the background, until the block ends."""
    kept, ended = list(shops), threading.Event()
    client = httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS)

    def pump() -> None:
        while not ended.wait(seconds):
            for shop in kept:
                shop.deliver(post or client.send)

    thread = threading.Thread(target=pump, name="deliveries", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        ended.set()
        thread.join()
        client.close()
