"""OBIS codes in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.cosem.catalog import attribute_target, describe, method_target
from cosemic.obis import ObisCode


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1-0:1.8.0*255", "Active energy import (+A) total"),
        ("1-0:2.8.2*255", "Active energy export (-A) tariff 2"),
        ("1-0:1.8.0*3", "Active energy import (+A) total, billing period 3"),
        ("1-0:1.7.0*255", "Active power import (+A) instantaneous"),
        ("1-0:21.7.0*255", "Active power import (+A) L1 instantaneous"),
        ("1-0:8.8.0*255", "Reactive energy quadrant IV total"),
        ("1-0:32.7.0*255", "Voltage L1 instantaneous"),
        ("1-0:71.7.0*255", "Current L3 instantaneous"),
        ("1-0:14.7.0*255", "Frequency instantaneous"),
        ("1-0:1.6.1*255", "Active power import (+A) maximum tariff 1"),
        ("1-0:32.7.3*255", "Voltage L1 instantaneous, harmonic 3"),
        ("1-0:99.1.0*255", "Load profile, recording period 1"),
        ("1-1:1.8.0*255", "Active energy import (+A) total, channel 1"),
        ("0-0:1.0.0*255", "Clock"),
        ("0-0:42.0.0*255", "COSEM logical device name"),
        ("0-0:40.0.0*255", "Current association"),
        ("0-0:40.0.2*255", "Association 2"),
        ("0-0:96.3.10*255", "Disconnect control"),
        ("0-0:99.98.0*255", "Event log"),
        ("0-2:24.1.0*255", "M-Bus client, channel 2"),
        ("7-0:3.0.0*255", "Gas forward absolute meter volume"),
        ("8-0:1.0.0*255", "Cold water volume"),
        ("6-0:1.0.0*255", "Heat energy"),
        ("1-0:128.0.0*255", "Manufacturer specific electricity object 128.0.0"),
    ],
)
def test_everyday_codes(code, words):
    assert describe(code) == words
    assert ObisCode.parse(code).describe() == words


@given(st.binary(min_size=6, max_size=6))
def test_every_code_has_some_words(octets):
    assert describe(ObisCode.from_bytes(octets)).strip()


def test_targets_name_class_attribute_and_meaning():
    code = ObisCode(1, 0, 1, 8, 0, 255)
    assert attribute_target(3, code, 2) == "3/1-0:1.8.0*255/2 (Register value: Active energy import (+A) total)"
    assert method_target(3, code, 1) == "3/1-0:1.8.0*255/1 (Register reset: Active energy import (+A) total)"
