"""The SNMP engine on the wire: messages and their security are pysnmp's, answers are ours.

It listens on loopback, in a thread of its own.  SNMPv3 is taken with authentication and privacy only,
SNMPv2c from the communities of the experiment, SNMPv1 not at all.  Whatever else comes
is dropped and counted, by the counters of RFC 3412, 3414 and 3418, which every context shows.
Its engine-id is drawn at every start, so that nothing recorded earlier can be replayed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.proto import error, rfc1905
from pysnmp.proto.api import v2c

from emulator.build.snmp_users import SnmpUsers
from emulator.management.answers import Answers, Look, Request, Response
from emulator.management.encoding import AUTHENTICATION, USM, V2C
from emulator.management.flood import PacedTransport
from emulator.management.messages import answer, asked, install
from emulator.management.objects import About, Cell, Type
from emulator.management.sets import RepeatedSets, Sets, Setting, Submit
from emulator.net.addresses import LOOPBACK
from protos.mib import AccessRole, EngineRow
from protos.pdu import ErrorStatus, Verb

_log = logging.getLogger(__name__)
_ENGINE_ID_HEAD = bytes.fromhex("80001f8805")  # RFC 3411: enterprise 8072, octets of its own choice
_ENGINE_ID_OCTETS = 12
_AUTH_PRIV = 3
_MOST_OCTETS = 16_384
_VERBS = {
    rfc1905.GetRequestPDU.tagSet: Verb.GET,
    rfc1905.GetNextRequestPDU.tagSet: Verb.GET_NEXT,
    rfc1905.GetBulkRequestPDU.tagSet: Verb.GET_BULK,
    rfc1905.SetRequestPDU.tagSet: Verb.SET,
}
_TYPES = {kind.smi: kind for kind in Type} | {"Gauge32": Type.UNSIGNED, "Integer": Type.INTEGER}
_COUNTERS = {
    "__SNMPv2-MIB": (
        "snmpInPkts",
        "snmpInBadVersions",
        "snmpInBadCommunityNames",
        "snmpInASNParseErrs",
        "snmpSilentDrops",
    ),
    "__SNMP-MPD-MIB": ("snmpUnknownSecurityModels", "snmpInvalidMsgs", "snmpUnknownPDUHandlers"),
    "__SNMP-USER-BASED-SM-MIB": (
        "usmStatsUnsupportedSecLevels",
        "usmStatsNotInTimeWindows",
        "usmStatsUnknownUserNames",
        "usmStatsUnknownEngineIDs",
        "usmStatsWrongDigests",
        "usmStatsDecryptionErrors",
    ),
}
_ENGINE = ("snmpEngineID", "snmpEngineBoots", "snmpEngineTime", "snmpEngineMaxMessageSize")


class ManagementEngine:
    """See the module.  `contexts` are all names but the empty one; `about` is without cells."""

    def __init__(
        self,
        users: SnmpUsers,
        look: Look,
        contexts: frozenset[str],
        about: About,
        submit: Submit,
    ) -> None:
        self._users = users
        self._said = about
        self._answers = Answers(look, contexts | {""}, self._about)
        self._sets = Sets(look, submit, self._answers.refused)
        self._repeated = RepeatedSets()
        self._worker = ThreadPoolExecutor(1, "snmp-set")
        self._roles: dict[tuple[int, str], AccessRole] = {}
        self._communities: dict[str, str] = {}
        self._engine: Any = None
        self._dropped: Callable[[], int] = int
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> None:
        """Serve; raise `OSError` if the port cannot be used."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind((LOOPBACK, port))
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="snmp", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Serve nobody any more."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _serve(self, listener: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_dropped)
        self._loop.run_until_complete(self._open(listener))
        try:
            self._loop.run_forever()
        finally:
            self._engine.close_dispatcher()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _open(self, listener: socket.socket) -> None:
        engine = SnmpEngine()
        install(engine)
        (own_id,) = engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID")
        drawn = _ENGINE_ID_HEAD + secrets.token_bytes(_ENGINE_ID_OCTETS)
        own_id.syntax = engine.snmpEngineID = own_id.syntax.clone(drawn)
        self._engine = engine
        transport = PacedTransport().open_server_mode(sock=listener)
        self._dropped = lambda: transport.dropped
        config.add_transport(engine, udp.DOMAIN_NAME, transport)
        for user in self._users.users:
            config.add_v3_user(
                engine,
                user.name,
                AUTHENTICATION[user.authentication],
                user.authentication_secret,
                config.USM_PRIV_CFB128_AES,
                user.privacy_secret,
            )
            self._roles[USM, user.name] = user.role
        for number, (name, role) in enumerate(self._users.communities):
            security_name = f"community-{number}"
            config.add_v1_system(engine, security_name, name, securityName=security_name)
            self._roles[V2C, security_name] = role
            self._communities[security_name] = name
        engine.message_dispatcher.register_context_engine_id(
            engine.snmpEngineID, tuple(_VERBS), self._process
        )

    def _about(self) -> About:
        refused = self._answers.refused
        row = EngineRow(1, self._dropped(), refused["set"], refused["out"])
        return replace(self._said, cells=tuple(self._own_cells()), row=row)

    def _own_cells(self) -> Iterator[Cell]:
        builder = self._engine.get_mib_builder()
        for symbol in builder.import_symbols("__SNMP-FRAMEWORK-MIB", *_ENGINE):
            is_id = symbol.label == _ENGINE[0]
            now = symbol.syntax.clone()  # of a time: that of now
            value = bytes(now) if is_id else int(now)
            yield Cell(tuple(symbol.name), Type.OCTETS if is_id else Type.INTEGER, value)
        for module, names in _COUNTERS.items():
            for symbol in builder.import_symbols(module, *names):
                yield Cell(tuple(symbol.name), Type.COUNTER32, int(symbol.syntax))

    def _process(self, engine: Any, *handed: Any) -> None:
        """Answer a request; what is handed over is that of RFC 3412, section 4.5, processPdu."""
        _, security_model, security_name, security_level, _, context_name, _, pdu = handed[:8]
        most_octets = handed[8]
        role = self._roles.get((int(security_model), str(security_name)))
        context = bytes(context_name).decode(errors="replace")

        def reply(response: Response | None) -> None:
            if response is not None:
                status, index = int(response.error_status), response.error_index
                _send(engine, handed, answer(pdu, response.binds, status, index), {})

        if context not in self._answers.contexts:
            _send(
                engine, handed, pdu, self._unknown_context()
            )  # a report, which tells whom it is for
        elif role is None or (int(security_model) == USM and int(security_level) != _AUTH_PRIV):
            reply(Response((), ErrorStatus.AUTHORIZATION_ERROR))
        else:
            request = _request(self._user(security_name), role, context, pdu, int(most_octets or 0))
            if request.verb is Verb.SET:
                self._set(request, pdu, reply)
            else:
                reply(self._answers.answer(request))

    def _set(self, request: Request, pdu: Any, reply: Callable[[Response | None], None]) -> None:
        """Do a Set in a thread of its own, one after the other, and answer when it is done."""
        wanted = tuple(map(_setting, v2c.apiPDU.get_varbinds(pdu)))
        number = int(v2c.apiPDU.get_request_id(pdu))
        key = (request.user, request.context, number, wanted)
        if not self._repeated.is_new(key, reply):
            return
        work = self._loop.run_in_executor(self._worker, self._sets.perform, request, wanted)
        work.add_done_callback(lambda done: self._repeated.done(key, _result(done)))

    def _user(self, security_name: Any) -> str:
        """Return the name of a user or community."""
        return self._communities.get(str(security_name), str(security_name))

    def _unknown_context(self) -> dict[str, Any]:
        """Count a context that does not exist; return what pysnmp reports then."""
        (unknown,) = self._engine.get_mib_builder().import_symbols(
            "__SNMP-TARGET-MIB", "snmpUnknownContexts"
        )
        unknown.syntax += 1
        return {"oid": unknown.name, "val": unknown.syntax}


def _send(engine: Any, handed: tuple[Any, ...], pdu: Any, about: dict[str, Any]) -> None:
    """Return a PDU to who asked; what was handed over begins and ends as returnResponsePdu wants it."""
    head, (most_octets, state) = handed[:7], handed[8:]
    try:
        dispatcher = engine.message_dispatcher
        dispatcher.return_response_pdu(engine, *head, pdu, most_octets, state, about)
    except error.StatusInformation as problem:
        _log.warning("no answer to %s: %s", handed[2], problem)


def _setting(bind: tuple[Any, Any]) -> Setting:
    name, value = tuple(bind[0]), bind[1]
    kind = _TYPES.get(type(value).__name__)
    if kind in (Type.OCTETS, None):
        return Setting(name, kind, bytes(value) if kind else 0)
    return Setting(name, kind, tuple(value) if kind is Type.NAME else int(value))


def _result(done: asyncio.Future[Response | None]) -> Response | None:
    """Return an answer; whatever went wrong is logged, and is none."""
    if done.cancelled():
        return None
    problem = done.exception()
    if problem is not None:
        _log.error("a Set failed", exc_info=problem)
        return None
    return done.result()


def _request(user: str, role: AccessRole, context: str, pdu: Any, most_octets: int) -> Request:
    verb = _VERBS[pdu.tagSet]
    names, once, repeated = asked(pdu)
    most = min(most_octets or _MOST_OCTETS, _MOST_OCTETS)
    if verb is not Verb.GET_BULK:
        return Request(user, role, context, verb, names, most_octets=most)
    return Request(user, role, context, verb, names, max(0, once), max(0, repeated), most)


def _dropped(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drop a message that cannot be read, and go on."""
    _log.warning("a message was dropped: %s", context.get("exception") or context["message"])
