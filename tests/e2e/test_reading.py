"""Both clients against a simulated meter over real sockets."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cosemic import ObisCode, axdr, blocking
from cosemic.client import DlmsClient
from cosemic.enums import DataType
from cosemic.errors import DataAccessError, ReadWriteDenied, ServiceError

from .conftest import CREDENTIALS, MOMENT, url_of

ENERGY = "1.0.1.8.0.255"
FRAMINGS = ["wrapper", "hdlc", "udp"]
pytestmark = pytest.mark.parametrize(
    ("framing", "credentials"), [(framing, name) for framing in FRAMINGS for name in CREDENTIALS]
)


def test_blocking_client(ports, framing, credentials) -> None:
    with blocking.DlmsClient(url_of(ports, framing), timeout=20, **CREDENTIALS[credentials]()) as meter:
        raw = meter.get(3, ENERGY, 2)
        assert isinstance(raw, int)
        assert meter.get(3, ObisCode.ACTIVE_ENERGY_IMPORT_TOTAL, 2, typed=True).type == DataType.DOUBLE_LONG_UNSIGNED
        energy = meter.read_register(ENERGY)
        assert (energy.raw, energy.unit) == (raw, "Wh")
        assert energy.value == Decimal(raw).scaleb(energy.scaler)
        results = list(meter.get_list([(3, ENERGY, 2), (3, "1.0.99.99.99.255", 2), (8, "0.0.1.0.0.255", 2)]))
        assert [result.value for result in results[:1]] == [raw]
        assert isinstance(results[1].error, DataAccessError)
        assert results[2].error is None
        meter.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(4711))
        assert meter.get(1, "0.0.128.0.0.255", 2) == 4711
        long_text = bytes(range(256)) * 9
        meter.set(1, "0.0.128.0.1.255", 2, axdr.octet_string(long_text))
        assert meter.get(1, "0.0.128.0.1.255", 2) == long_text
        assert meter.action(3, "0.0.128.0.2.255", 1, axdr.integer(0)) is None
        assert meter.read_clock() == MOMENT
        assert {(3, ENERGY)} <= {(entry.class_id, entry.obis.dotted) for entry in meter.objects()}
        profile = meter.read_profile("1.0.99.1.0.255", last=5)
        assert len(profile.rows) == 5
        end = profile.rows[-1][0]
        assert (
            meter.read_profile("1.0.99.1.0.255", start=end - timedelta(hours=1), end=end).rows[-1] == profile.rows[-1]
        )
        assert len(meter.read_profile("1.0.99.1.0.255").rows) == 200
        with pytest.raises(ReadWriteDenied, match="object list grants"):
            meter.set(3, ENERGY, 3, axdr.null_data())
        assert meter.get(3, ENERGY, 2) == raw


async def test_asyncio_client(ports, framing, credentials) -> None:
    async with DlmsClient(url_of(ports, framing), timeout=20, **CREDENTIALS[credentials]()) as meter:
        raw = await meter.get(3, ENERGY, 2)
        assert isinstance(raw, int)
        typed = await meter.get(3, ObisCode.ACTIVE_ENERGY_IMPORT_TOTAL, 2, typed=True)
        assert typed.type == DataType.DOUBLE_LONG_UNSIGNED
        energy = await meter.read_register(ENERGY)
        assert (energy.raw, energy.unit) == (raw, "Wh")
        items = [(3, ENERGY, 2), (3, "1.0.99.99.99.255", 2), (8, "0.0.1.0.0.255", 2)]
        results = [result async for result in meter.get_list(items)]
        assert results[0].value == raw
        assert isinstance(results[1].error, DataAccessError)
        await meter.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(4712))
        assert await meter.get(1, "0.0.128.0.0.255", 2) == 4712
        assert await meter.action(3, "0.0.128.0.2.255", 1, axdr.integer(0)) is None
        assert await meter.read_clock() == MOMENT
        assert {(3, ENERGY)} <= {(entry.class_id, entry.obis.dotted) for entry in await meter.objects()}
        assert len((await meter.read_profile("1.0.99.1.0.255", last=5)).rows) == 5
        start = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
        some = await meter.read_profile("1.0.99.1.0.255", start=start)
        assert 0 < len(some.rows) < 200
        with pytest.raises(ServiceError, match="object-undefined"):
            await meter.get(3, "1.0.99.99.99.255", 2)
        assert await meter.get(3, ENERGY, 2) == raw
