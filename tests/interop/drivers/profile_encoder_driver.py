"""Encodes rows with a foreign library: JSON on stdin (rows of [type tag, value], hex for octets), hex on stdout."""

import json
import sys

ARRAY, STRUCTURE, NULL = 1, 2, 0


def dlms_cosem(rows):
    from dlms_cosem import dlms_data

    kinds = dlms_data.DlmsDataFactory.MAP

    def typed(tag, value):
        return kinds[tag](value)

    return typed(ARRAY, [typed(STRUCTURE, [typed(*cell) for cell in row]) for row in rows]).to_bytes()


def pydlms(rows):
    from pydlms.cosem.data import DlmsData, encode_data

    structures = [DlmsData(STRUCTURE, [DlmsData(*cell) for cell in row]) for row in rows]
    return encode_data(DlmsData(ARRAY, structures))


def gurux(rows):
    from gurux_dlms.GXByteBuffer import GXByteBuffer
    from gurux_dlms.enums import DataType
    from gurux_dlms.internal._GXCommon import _GXCommon

    buffer = GXByteBuffer()
    buffer.setUInt8(ARRAY)
    _GXCommon.setObjectCount(len(rows), buffer)
    for row in rows:
        buffer.setUInt8(STRUCTURE)
        _GXCommon.setObjectCount(len(row), buffer)
        for tag, value in row:
            _GXCommon.setData(None, buffer, DataType(tag), value)
    return bytes(buffer.array())


rows = [
    [(tag, bytes.fromhex(value) if tag == 9 else value) for tag, value in row] for row in json.loads(sys.stdin.read())
]
print(globals()[sys.argv[1]](rows).hex())
