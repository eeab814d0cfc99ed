"""Associations and sessions of both roles, without I/O: events in place of waiting, time as data.

- ``session.ClientSession`` and ``server_session.ServerSession``: an association with its link.
- ``client_association.ClientAssociation`` and ``server_association.ServerAssociation``: APDUs alone.
- ``requests``, ``events``, ``settings``, ``states``: what they are asked, tell, know, and where they stand.
"""
