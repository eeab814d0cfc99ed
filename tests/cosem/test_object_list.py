"""Object lists: our own in both formats, and one that a real meter sent."""

import pytest

from cosemic.codec import axdr
from cosemic.cosem.object_list import CALL, ObjectEntry, decode_object_list, encode_object_list
from cosemic.enums import AccessRight
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from tests.vectors.collection import REASON, load

READ, WRITE = AccessRight.READ, AccessRight.WRITE
AUTHENTICATED = AccessRight.AUTHENTICATED_REQUEST


def entries(version):
    return [
        ObjectEntry(
            15, version, ObisCode(0, 0, 40, 0, 0, 255), {1: READ, 7: AccessRight.NONE}, {1: CALL | AUTHENTICATED}
        ),
        ObjectEntry(
            3, 0, ObisCode(1, 0, 1, 8, 0, 255), {1: READ, 2: READ | WRITE | AUTHENTICATED, 3: WRITE}, {1: CALL}
        ),
        ObjectEntry(
            7, 1, ObisCode(1, 0, 99, 1, 0, 255), {2: READ, 3: READ | AUTHENTICATED}, {1: AccessRight.NONE}, {2: (1, 2)}
        ),
    ]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_lists_survive_both_formats(version):
    assert decode_object_list(encode_object_list(entries(version), version).plain) == entries(version)


def test_version_1_writes_modes_and_version_3_bits():
    old = encode_object_list(entries(1), 1).plain
    new = encode_object_list(entries(3), 3).plain
    assert [mode for _, mode, _ in old[1][3][0]] == [1, 6, 2]
    assert [mode for _, mode, _ in new[1][3][0]] == [1, 1 | 2 | 4, 2]


def test_conditions_without_a_verb_are_no_access():
    odd = [ObjectEntry(1, 0, ObisCode(0, 0, 96, 1, 0, 255), {2: AUTHENTICATED})]
    assert decode_object_list(encode_object_list(odd, 1).plain)[0].attributes == {2: AccessRight.NONE}


def test_an_entry_answers_what_may_be_done():
    _, register, profile = entries(1)
    assert (register.may_read(2), register.may_write(2), register.may_write(1), register.may_call(1)) == (
        True,
        True,
        False,
        True,
    )
    assert not register.may_read(9)
    assert register.attribute_rights(2) == "read and write (authenticated)"
    assert register.attribute_rights(9) == "no access"
    assert (register.name, register.class_name) == ("Active energy import (+A) total", "Register")
    assert profile.selectors == {2: (1, 2)}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [None],
        [(3, 0, b"short", ([], []))],
        [(3, 0, bytes(6), ([], [], []))],
        [(3, 0, bytes(6), ([5], []))],
        [(3, 0, bytes(6), ([], [(1,)]))],
        [("3", 0, bytes(6), ([], []))],
    ],
)
def test_what_is_no_object_list_is_refused(value):
    with pytest.raises(DecodeError):
        decode_object_list(value)


def test_a_boolean_method_right_of_version_0_is_understood():
    listed = decode_object_list([(70, 0, bytes(6), ([], [(1, True), (2, False)]))])
    assert listed[0].methods == {1: CALL, 2: AccessRight.NONE}


KAMSTRUP = [case for case in load("axdr") if case["name"] == "jdlms:kamstrup-association-object-list-complete"]


@pytest.mark.skipif(not KAMSTRUP, reason=REASON)
def test_the_list_of_a_real_meter():
    octets = bytes.fromhex(KAMSTRUP[0]["bytes"])
    listed = decode_object_list(axdr.decode(octets))
    assert len(listed) == 123
    clock = next(entry for entry in listed if entry.obis == ObisCode(0, 1, 1, 0, 0, 255))
    assert (clock.class_id, clock.name) == (8, "Clock, channel 1")
    assert clock.attribute_rights(2) == "read and write"
    profile = next(entry for entry in listed if entry.obis == ObisCode(0, 1, 99, 1, 0, 255))
    assert profile.selectors == {2: (1,)}
    assert all(entry.declaration.declared for entry in listed)
