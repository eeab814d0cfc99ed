"""cosemic with its durable counter store, which the other columns have no counterpart for: protect only."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from adapters.base import Adapter
from adapters.cosemic_adapter import CosemicAdapter

import corpus
from cosemic import SecurityContext
from cosemic.security.context import AssociationSecurity
from cosemic.security.counters import SqliteCounters


class CosemicDurableAdapter(Adapter):
    name = "cosemic_durable"

    def make_cipher(self):
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        context = SecurityContext(
            system_title=corpus.TITLE,
            encryption_key=corpus.EK,
            authentication_key=corpus.AK,
            counters=SqliteCounters(Path(folder) / "counters.sqlite3"),
        )
        return AssociationSecurity(context, role="client", peer_system_title=b"METER\0\0\1")

    protect = CosemicAdapter.protect


ADAPTER = CosemicDurableAdapter
