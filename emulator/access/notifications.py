"""What has changed at a node between two looks, as notifications of ETSI GS QKD 015, and who is told.

`changes` is a pure function of two looks.  A `Feed` looks repeatedly while it has readers; what came and
went between two looks is not told, and nothing is told again.  A reader who does not keep up is hung up
on.  Nothing here knows HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from emulator.access.sdn_node import (
    MODULE,
    Document,
    SdnNode,
    application_details,
    application_uuid,
    association_performance,
    association_state,
    association_uuid,
    fiber_performance,
    fiber_state,
    fiber_uuid,
    interface_state,
    node_uuid,
    typed,
)
from protos.node_status import ApplicationStatus

MOST_READERS = 20
"""Of one node; the one who has read longest makes room."""
_MOST_WAITING = 1_000
_LOOK_EVERY_S = 0.2
_SILENCE_S = 15.0


@dataclass(frozen=True)
class Notification:
    """One notification: its name and content, and the SAEs that may know it beside operators."""

    name: str
    content: Document
    saes: frozenset[str] = frozenset()

    def document(self, date: str) -> Document:
        """Return it as a stream tells it (RFC 8040, 6.4)."""
        told = {"eventTime": date, f"{MODULE}:{self.name}": self.content}
        return {"ietf-restconf:notification": told}


def changes(before: SdnNode, after: SdnNode) -> list[Notification]:
    """Return what is new at a node."""
    return [
        *_interfaces(before, after),
        *_fibers(before, after),
        *_associations(before, after),
        *_applications(before, after),
    ]


def _interfaces(before: SdnNode, after: SdnNode) -> Iterator[Notification]:
    if before.status.is_out == after.status.is_out:
        return
    for end in after.site.fibers:
        if after.status.is_out:
            content: Document = {"qkdi_id": end.interface, "reason": "the key manager is out"}
            yield Notification("sdqkdn_interface_down", {"qkd_interface": content})
        else:
            status = {"qkdi_status": typed(interface_state(after.status))}
            content = {"qkdi_id": end.interface, **status, "message": "is up again"}
            yield Notification("event", {"interface": content})


def _fibers(before: SdnNode, after: SdnNode) -> Iterator[Notification]:
    known = {item.peer: item for item in before.status.fibers}
    for item in after.status.fibers:
        former, name = known.get(item.peer), fiber_uuid(after.status.node, item.peer)
        if former is None:
            continue
        if former.is_up and not item.is_up:
            yield _down(name, "nothing usable comes through the fiber")
        else:
            yield from _turn(name, fiber_state(former), fiber_state(item))
        if fiber_performance(former) != fiber_performance(item):
            content = {"qkdl_id": name, "performance": fiber_performance(item)}
            yield Notification("sdqkdn_link_perf_update", {"qkd_link": content})


def _associations(before: SdnNode, after: SdnNode) -> Iterator[Notification]:
    known = {item.request: item for item in before.status.associations}
    for item in after.status.associations:
        former, name = known.get(item.request), association_uuid(item.request)
        if former is None:
            continue
        if former.made_bps > 0 and not item.made_bps > 0:
            yield _down(name, "a fiber of its path has made no key")
        else:
            yield from _turn(name, association_state(former), association_state(item))
        if item.missing_units > former.missing_units:
            content = {"qkdl_id": name, "performance": association_performance(item)}
            yield Notification("sdqkdn_link_overloaded", {"qkd_link": content})


def _down(link: str, reason: str) -> Notification:
    return Notification("sdqkdn_link_down", {"qkd_link": {"qkdl_id": link, "reason": reason}})


def _turn(link: str, former: str, state: str) -> Iterator[Notification]:
    """Tell that a link has another state."""
    if former != state:
        content = {"qkdl_id": link, "qkdl_status": typed(state), "message": f"was {former}"}
        yield Notification("event", {"link": content})


def _applications(before: SdnNode, after: SdnNode) -> Iterator[Notification]:
    known = {application_uuid(item): item for item in before.status.applications}
    for item in after.status.applications:
        former = known.get(application_uuid(item))
        if former is None or item.is_active > former.is_active:
            content: Document = {
                **application_details(item),
                "local_qkdn_id": node_uuid(after.status.node),
            }
            yield _of(item, "sdqkdn_application_new", content)
        elif item.is_active < former.is_active:
            gone: Document = {"app_id": application_uuid(item)}
            yield _of(item, "sdqkdn_application_disconnected", gone)


def _of(item: ApplicationStatus, name: str, content: Document) -> Notification:
    saes = frozenset((item.server, *item.clients)) if item.is_sae else frozenset[str]()
    return Notification(name, {"qkd_application": content}, saes)


class Feed:
    """The readers of one node's notifications; `look` returns the node as it is now."""

    def __init__(self, look: Callable[[], Awaitable[SdnNode]]) -> None:
        self._look = look
        self._readers: dict[int, asyncio.Queue[tuple[str, Notification] | None]] = {}
        self._last_reader = 0
        self._looking: asyncio.Task[None] | None = None

    async def notifications(self, sae: str = "") -> AsyncIterator[Document | None]:
        """Yield what is new from now on, to an SAE only what concerns it, until the feed is closed.

        None says that all is well: at first, when the node has been looked at, and in a silence.
        """
        queue: asyncio.Queue[tuple[str, Notification] | None] = asyncio.Queue(_MOST_WAITING)
        self._last_reader += 1
        reader = self._last_reader
        self._readers[reader] = queue
        if len(self._readers) > MOST_READERS:
            self._dismiss(next(iter(self._readers)))
        try:
            if not self._is_looking:
                before = await self._look()
                if not self._is_looking:
                    self._looking = asyncio.create_task(self._look_on(before))
            yield None
            while True:
                try:
                    found = await asyncio.wait_for(queue.get(), _SILENCE_S)
                except TimeoutError:
                    yield None
                    continue
                if found is None:
                    return
                date, notification = found
                if not sae or sae in notification.saes:
                    yield notification.document(date)
        finally:
            self._readers.pop(reader, None)

    @property
    def _is_looking(self) -> bool:
        return self._looking is not None and not self._looking.done()

    def close(self) -> None:
        """Tell readers that nothing more will come."""
        if self._looking is not None:
            self._looking.cancel()
        for reader in list(self._readers):
            self._dismiss(reader)

    def _dismiss(self, reader: int) -> None:
        queue = self._readers.pop(reader)
        with contextlib.suppress(asyncio.QueueEmpty):
            while queue.full():
                queue.get_nowait()
        queue.put_nowait(None)

    async def _look_on(self, before: SdnNode) -> None:
        """Look at the node while somebody reads."""
        while self._readers:
            await asyncio.sleep(_LOOK_EVERY_S)
            after = await self._look()
            self._tell(after.date(after.status.at_s), changes(before, after))
            before = after

    def _tell(self, date: str, news: Iterable[Notification]) -> None:
        for item in news:
            for reader, queue in list(self._readers.items()):
                if queue.full():
                    self._dismiss(reader)
                else:
                    queue.put_nowait((date, item))


def discovery(location: str) -> dict[str, Any]:
    """Return what RESTCONF tells of its capabilities and streams (RFC 8040, 9)."""
    base = "urn:ietf:params:restconf:capability"
    names = (f"{base}:defaults:1.0?basic-mode=explicit", f"{base}:depth:1.0", f"{base}:fields:1.0")
    access = [{"encoding": "json", "location": location}]
    stream = {
        "name": "NETCONF",
        "description": "what ETSI GS QKD 015 notifies of this node",
        "replay-support": False,
        "access": access,
    }
    return {"capabilities": {"capability": list(names)}, "streams": {"stream": [stream]}}
