"""Pushes: whatever a meter sends unasked becomes readings with names and units, or one sentence that says why not.

The way of the octets; nothing on it waits:

==============  ===============================================  ====================================================
step            from                                             to
==============  ===============================================  ====================================================
``reader``      octets, in pieces of any size (``framings``)     ``Telegram``, ``Dropped``
``protection``  a protected APDU                                 the APDU inside, and what protected it
``meaning``     a notification                                   ``Push`` with its readings
``p1``          the text of a P1 port                            the same
``decoder``     octets                                           ``Push``, ``Undecoded``, ``Dropped``: all of it
==============  ===============================================  ====================================================

``listening`` is the asynchronous iterator over serial ports, servers and files; ``sniffing`` finds the settings of a
line.
"""
