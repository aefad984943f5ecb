"""The door of one node's key manager: ETSI GS QKD 014 for SAEs over HTTPS, mutual TLS 1.3.

Beside it, operators and SAEs look at the node (`restconf`).

`openapi.yaml` beside this module describes the interface.  An SAE is who its certificate says; one that
belongs to another node is sent away.  A call waits for its window to be committed, so its answer is true
whatever is killed afterwards.  If the caller goes away meanwhile, the call is withdrawn, or its answer is
known to be unsure, and the caller can ask again.  Keys are in answers only; nothing is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from controllers.key_access import MOST_KEY_UNITS
from emulator.access.certificates import Credentials, operator_of, sae_of
from emulator.access.config import AccessConfig, Site
from emulator.access.messages import (
    MOST_ADDITIONAL,
    MOST_KEYS,
    RefusedError,
    Sizes,
    container,
    key_ids_of_body,
    key_ids_of_query,
    key_request_of_body,
    key_request_of_query,
)
from emulator.access.restconf import Restconf
from emulator.access.sdn_node import SdnNode
from emulator.net.http_server import MOST_REQUEST_BYTES, HttpServer
from protos.access import Answer, Call, GetKey, GetKeyWithIds, Outcome
from protos.core import Stock, key_manager_of
from protos.node_status import NodeStatus

MOST_CONNECTIONS = 2_000
"""Of one door."""
_TICK_S = 1.0
_NAME = "sae"
_OPERATOR = "operator"
_IS_OPEN = "qsagin_is_open"
_REFUSALS = {
    Outcome.NOT_NAMED: (401, "a key was not asked for on behalf of this SAE"),
    Outcome.UNKNOWN_KEY: (400, "one or more keys specified are not found on KME"),
    Outcome.SHORT: (503, "not enough keys now; more are being made or bought"),
    Outcome.AWAY: (503, "the key manager is out, or the run is over"),
    Outcome.NO_REQUEST: (400, "nothing is provisioned between the nodes of these SAEs"),
}


class _Anything(Convertor[str]):
    """A part of a path with whatever letters, also slashes and ends of lines: SAE IDs are free."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """Return the part."""
        return value

    def to_string(self, value: str) -> str:
        """Return it again."""
        return value


register_url_convertor("anything", _Anything())


class Callers(Protocol):
    """Who passes calls on to key managers; see `emulator.runtime.sae_callers.SaeCallers`."""

    async def ask(self, entity: str, call: Call) -> Answer:
        """Return the answer to a call."""

    def has_left(self, entity: str, answer: Answer) -> None:
        """Take note that an answer was sent."""

    def may_be_lost(self, entity: str, answer: Answer) -> None:
        """Take note that an answer could perhaps not be sent."""

    async def stock(self, entity: str, target: str) -> Stock | None:
        """Return what could be given for SAEs of a node."""

    async def status(self, entity: str) -> NodeStatus:
        """Return how a node is."""


class Door:
    """The methods of the interface at one node.  `handled` counts calls by method and status."""

    def __init__(self, node: str, config: AccessConfig, callers: Callers) -> None:
        self._node, self._saes, self._callers = node, config.saes, callers
        self._entity = key_manager_of(node)
        self._sizes = Sizes.of(config.unit_bits, MOST_KEY_UNITS)
        self._units_of_bits = config.unit_bits
        self._site, self._epoch = config.sites.get(node, Site()), config.epoch
        self._operators = config.operators
        self.restconf = Restconf(self._look, self._reader, self._count_look)
        methods = ("status", "enc_keys", "dec_keys", "restconf")
        self.handled: Counter[tuple[str, int]] = Counter(dict.fromkeys(product(methods, (200,)), 0))

    def application(self) -> Starlette:
        """Return the door as an ASGI application."""
        base = "/api/v1/keys/{sae:anything}"
        return Starlette(
            routes=[
                Route(f"{base}/status", self._counted(self._status), methods=["GET"]),
                Route(f"{base}/enc_keys", self._counted(self._enc_keys), methods=["GET", "POST"]),
                Route(f"{base}/dec_keys", self._counted(self._dec_keys), methods=["GET", "POST"]),
                *self.restconf.routes(),
            ],
            exception_handlers={HTTPException: _no_such_method},
        )

    async def _status(self, _: Request, caller: str, peer: str) -> tuple[Any, Answer | None]:
        target = self._node_of(peer, "slave_SAE_ID")
        stock = await self._callers.stock(self._entity, target)
        if stock is None:
            raise self._not_provisioned(target)
        units = self._sizes.default // self._units_of_bits
        return {
            "source_KME_ID": self._entity,
            "target_KME_ID": key_manager_of(target),
            "master_SAE_ID": caller,
            "slave_SAE_ID": peer,
            "key_size": self._sizes.default,
            "stored_key_count": stock.keys // units,
            "max_key_count": stock.most_keys // units,
            "max_key_per_request": MOST_KEYS,
            "max_key_size": self._sizes.most,
            "min_key_size": self._sizes.least,
            "max_SAE_ID_count": MOST_ADDITIONAL,
        }, None

    async def _enc_keys(
        self, request: Request, caller: str, peer: str
    ) -> tuple[Any, Answer | None]:
        """Give new keys.  If the answer is lost nobody knows them, and the next call gets others."""
        self._node_of(peer, "slave_SAE_ID")
        if request.method == "GET":
            asked = key_request_of_query(request.query_params.multi_items(), self._sizes)
        else:
            asked = key_request_of_body(await _body(request), self._sizes)
        for other in asked.additional:
            self._node_of(other, "additional_slave_SAE_IDs")
        slaves = (peer, *(other for other in asked.additional if other != peer))
        for node in {self._saes[slave] for slave in slaves}:
            if await self._callers.stock(self._entity, node) is None:
                raise self._not_provisioned(node)
        call = GetKey(caller, slaves, asked.number, asked.size)
        answer = await self._ask(request, call)
        return container(answer.keys), None

    async def _dec_keys(
        self, request: Request, caller: str, peer: str
    ) -> tuple[Any, Answer | None]:
        """Give copies.  If the answer is lost they are given again, since the other end has them."""
        self._node_of(peer, "master_SAE_ID")
        if request.method == "GET":
            names = key_ids_of_query(request.query_params.multi_items())
        else:
            names = key_ids_of_body(await _body(request))
        answer = await self._ask(request, GetKeyWithIds(caller, peer, names))
        return container(answer.keys), answer

    async def _look(self) -> SdnNode:
        return SdnNode(await self._callers.status(self._entity), self._site, self._epoch)

    def _reader(self, request: Request) -> tuple[str, str]:
        """Return the operator that asks, and the SAE of this node; either is empty."""
        operator, sae = (str(request.scope.get(name, "")) for name in (_OPERATOR, _NAME))
        is_here = self._saes.get(sae) == self._node
        return operator if operator in self._operators else "", sae if is_here else ""

    def _count_look(self, status: int) -> None:
        self.handled["restconf", status] += 1

    def _node_of(self, sae: str, field: str) -> str:
        if sae not in self._saes:
            problem = "is no SAE that is known here"
            raise RefusedError(400, f"{field} {problem}", {field: problem})
        return self._saes[sae]

    def _check(self, caller: str) -> None:
        if self._saes.get(caller) != self._node:
            raise RefusedError(401, f"the certificate names no SAE of node {self._node}")

    def _not_provisioned(self, target: str) -> RefusedError:
        problem = f"no request of class external from node {self._node} to node {target}"
        return RefusedError(400, f"{problem} is in the experiment")

    async def _ask(self, request: Request, call: Call) -> Answer:
        """Return the answer to a call that was granted.  Raises `RefusedError`."""
        asking = asyncio.ensure_future(self._callers.ask(self._entity, call))
        leaving = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not asking.done():
                asking.cancel()
        if asking.cancelled() or not asking.done():
            raise RefusedError(503, "the caller has gone")
        answer = asking.result()
        if answer.outcome is not Outcome.GIVEN:
            raise RefusedError(*_REFUSALS[answer.outcome])
        return answer

    def _counted(
        self, method: Callable[[Request, str, str], Awaitable[tuple[Any, Answer | None]]]
    ) -> Callable[[Request], Awaitable[_Answered]]:
        """Return a method as an endpoint that says who calls, and counts how calls end."""
        name = method.__name__.removeprefix("_")

        async def endpoint(request: Request) -> _Answered:
            caller = str(request.scope.get(_NAME, ""))
            try:
                self._check(caller)
                found, answer = await method(request, caller, request.path_params["sae"])
                response = _Answered(found, 200, _NO_STORE)
                if answer is not None:
                    response.watch(self._callers, self._entity, answer)
            except RefusedError as error:
                response = _Answered(error.fields(), error.status, _NO_STORE)
            self.handled[name, response.status_code] += 1
            return response

        return endpoint


class _Answered(JSONResponse):
    """An answer that says whether it has left."""

    _told: tuple[Callers, str, Answer] | None = None

    def watch(self, callers: Callers, entity: str, answer: Answer) -> None:
        """Have callers know what becomes of the answer."""
        self._told = (callers, entity, answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        is_sent = False
        try:
            await super().__call__(scope, receive, send)
            is_sent = scope.get(_IS_OPEN, _always)()
        finally:
            if self._told is not None:
                callers, entity, answer = self._told
                (callers.has_left if is_sent else callers.may_be_lost)(entity, answer)


class DoorServer(HttpServer):
    """A server of a door, with TLS."""

    def __init__(self, door: Door, context: ssl.SSLContext) -> None:
        super().__init__(door.application())
        self._ended = asyncio.Event()
        self.config.load()
        self.config.ssl = context
        inner: Any = self.config.http_protocol_class
        self.config.http_protocol_class = type("_SaeConnection", (_Named, inner), {})

    async def main_loop(self) -> None:
        """Wait until it is to end."""
        counter = 0
        while not self._ended.is_set():
            await self.on_tick(counter * 10)
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whom they belong."""
        yield

    def end(self) -> None:
        """Serve nobody any more."""
        self._ended.set()


class _Named:
    """The part of a connection that knows whose certificate was shown, and tells the application."""

    most_connections = MOST_CONNECTIONS
    app: Any
    transport: asyncio.Transport
    _phase: Any

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take note of the caller, once for all requests of the connection."""
        super().connection_made(transport)  # type: ignore[misc]
        inner, peer = self.app, transport.get_extra_info("peercert") or {}
        sae, operator = sae_of(peer), operator_of(peer)

        async def named(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_NAME], scope[_OPERATOR], scope[_IS_OPEN] = sae, operator, self._is_open
            await inner(scope, receive, send)

        self.app = named

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or too long, in the form of all refusals."""
        body = JSONResponse(RefusedError(400, f"no request: {msg}").fields()).body
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        if not self.transport.is_closing():
            self.transport.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + bytes(body))
            self.transport.close()

    def _watch(self) -> None:
        """Look no longer after a connection that is closing: TLS has a limit of its own for that."""
        if self._is_open():
            super()._watch()  # type: ignore[misc]

    def _now_in(self) -> Any:
        """Return what is waited for; a TLS transport that was closed cannot be asked."""
        return super()._now_in() if self._is_open() else self._phase  # type: ignore[misc]

    def _is_open(self) -> bool:
        return not self.transport.is_closing()


def tls_context(credentials: Credentials, authority: bytes) -> ssl.SSLContext:
    """Return the context of a door: TLS 1.3, and only clients with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.decode())
    with TemporaryDirectory() as folder:  # Python takes keys from files only; nobody else may enter
        path = Path(folder, "door.pem")
        path.write_bytes(credentials.private_key + credentials.certificate)
        context.load_cert_chain(path)
    return context


_NO_STORE = {"cache-control": "no-store"}


def _always() -> bool:
    return True


async def _gone(request: Request) -> None:
    """Return when the caller has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> bytes:
    """Return what was sent.  Raises `RefusedError` if it is too much."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > MOST_REQUEST_BYTES:
            raise RefusedError(400, f"the body must have at most {MOST_REQUEST_BYTES} bytes")
    return found


async def _no_such_method(_request: Request, error: Exception) -> JSONResponse:
    """Say in the form of all refusals that there is no such method, or not with this verb."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = "no such method" if status == 404 else "not with this verb"
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(RefusedError(status, words).fields(), status, headers)
