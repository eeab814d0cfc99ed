"""Pushes: whatever a meter sends unasked becomes readings with names and units, or one sentence that says why not.

The way of the octets, each step a module of its own, none of which waits:

==============  ======================================================  =============================================
step            from                                                    to
==============  ======================================================  =============================================
``reader``      octets, in pieces of any size                           ``Telegram``, ``Dropped``
``decryption``  a protected APDU                                        the APDU inside, and what protected it
``meaning``     a notification, or the text of a P1 port                ``Push`` with its readings
``decoder``     octets                                                  ``Push``, ``Undecoded``, ``Dropped``: all of it
==============  ======================================================  =============================================

``listener`` is the asynchronous iterator over serial ports, servers and files.
"""
