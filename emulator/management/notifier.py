"""Sends the notifications of agents to somebody outside, beside a run: SNMPv3 informs, or SNMPv2c ones.

Each is sent until it is acknowledged, in the order of the journal, and then written down in the run
folder.  So none is lost while the run lasts, also if the receiver or any process of the run is; one is sent
again, under the same name (qsNoticeId), if an acknowledgement is lost, or this process before it is noted.
At the end of the run what is left is sent for as long as somebody acknowledges it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413 import ntforg
from pysnmp.proto.acmod import void

from emulator.build.snmp_users import User
from emulator.management.encoding import AUTHENTICATION, encoded
from emulator.management.notices import Notice, notices_after
from emulator.management.objects import Cell
from emulator.store.journal import JournalError
from emulator.store.notice_table import NoticeTable

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.2
_TIMEOUT_CS, _RETRIES = 100, 2
_LAST_PATIENCE_S = 8.0
_VIEWS = ntforg.NotificationOriginator.ACM_ID
_ANSWER_LIMIT_S = 10.0


@dataclass(frozen=True)
class Target:
    """Who is told, and as whom: a user of SNMPv3, or a community of SNMPv2c."""

    host: str
    port: int
    sender: User | str


class Notifier:
    """See the module.  `epoch` is emulated second 0, `window_s` the length of a window."""

    def __init__(self, run_folder: Path, target: Target, epoch: datetime, window_s: float) -> None:
        self._folder, self._target = run_folder, target
        self._epoch, self._window_s = epoch, window_s
        self._table = NoticeTable(run_folder)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="snmp-notices", daemon=True)
        self._engine: Any = None
        self._acknowledged_s = 0.0
        self.sent = 0

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is left, as long as somebody acknowledges it, and end."""
        self._acknowledged_s = time.monotonic()
        self._ending.set()
        self._thread.join()
        self._table.close()

    def _serve(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        is_last = False
        while True:
            is_last = self._ending.is_set()
            with suppress(JournalError):
                for window, notices in notices_after(self._folder, self._table.window):
                    if not await self._send_window(window, notices):
                        break
                else:
                    if is_last:
                        break
            if is_last and self._gives_up:
                _log.warning("%s took no notifications at the end", self._target.host)
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        self._close()

    @property
    def _gives_up(self) -> bool:
        waited_s = time.monotonic() - self._acknowledged_s
        return self._ending.is_set() and waited_s > _LAST_PATIENCE_S

    async def _send_window(self, window: int, notices: list[Notice]) -> bool:
        """Send all of a window; return whether all were acknowledged."""
        for notice in notices:
            if self._table.is_taken(notice.id):
                continue
            if not await self._send(notice.cells(self._epoch, self._window_s)):
                return False
            self._table.take(notice.id)
            self._acknowledged_s = time.monotonic()
            self.sent += 1
        self._table.reach(window)
        return True

    async def _send(self, cells: list[Cell]) -> bool:
        """Send one inform; return whether it was acknowledged."""
        if self._engine is None:
            self._engine = self._opened()
        acknowledged: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def heard(_engine: Any, _handle: Any, problem: Any, status: Any, *_rest: Any) -> None:
            if not acknowledged.done():
                acknowledged.set_result(problem or status)

        binds = [encoded(cell) for cell in cells]
        ntforg.NotificationOriginator().send_varbinds(
            self._engine, "notices", None, "", binds, heard, None
        )
        try:
            problem = await asyncio.wait_for(acknowledged, _ANSWER_LIMIT_S)
        except TimeoutError as error:
            problem = error
        if problem:
            _log.info("a notification was not acknowledged: %s", problem)
            self._close()  # the receiver may be another engine by now
        return not problem

    def _opened(self) -> Any:
        engine, sender = SnmpEngine(), self._target.sender
        config.add_transport(engine, udp.DOMAIN_NAME, udp.UdpTransport().open_client_mode())
        if isinstance(sender, User):
            name, level = sender.name, "authPriv"
            config.add_v3_user(
                engine,
                name,
                AUTHENTICATION[sender.authentication],
                sender.authentication_secret,
                config.USM_PRIV_CFB128_AES,
                sender.privacy_secret,
            )
            config.add_target_parameters(engine, "sender", name, level)
        else:
            name, level = "community", "noAuthNoPriv"
            config.add_v1_system(engine, name, sender, securityName=name)
            config.add_target_parameters(engine, "sender", name, level, 1)
        where = (self._target.host, self._target.port)
        config.add_target_address(
            engine, "target", udp.DOMAIN_NAME, where, "sender", _TIMEOUT_CS, _RETRIES, "all"
        )
        config.add_notification_target(engine, "notices", "sender", "all", "inform")
        engine.access_control_model[_VIEWS] = void.Vacm()  # the sender may see all
        return engine

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None
