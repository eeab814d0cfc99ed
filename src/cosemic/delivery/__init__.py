"""Pushes on their way to where people use them: outputs, and the spool that waits for them.

``pipeline`` takes messages from a listener and serves every output in a lane of its own; ``spool`` keeps on disk what
an output does not have yet. The outputs: ``tables``, ``json_lines``, ``csv_files``, ``sqlite_files``, ``mqtt`` with
``home_assistant``, ``prometheus``, ``webhook``; ``options`` makes them from the options of a command. ``documents``
says what a message is in all of them.
"""
