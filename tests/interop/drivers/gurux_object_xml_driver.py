"""Parses an object list with gurux-dlms and prints it as the XML that Gurux saves; the list comes in hex on stdin."""

import os
import sys
import tempfile

from gurux_dlms import GXByteBuffer, GXDLMSClient
from gurux_dlms.objects import GXXmlWriterSettings

client = GXDLMSClient(True, 16, 1)
found = client.parseObjects(GXByteBuffer(bytes.fromhex(sys.stdin.readline())), True)
with tempfile.TemporaryDirectory() as folder:
    name = os.path.join(folder, "objects.xml")
    settings = GXXmlWriterSettings()
    settings.values = False
    found.save(name, settings)
    with open(name, encoding="utf-8") as file:
        sys.stdout.write(file.read())
