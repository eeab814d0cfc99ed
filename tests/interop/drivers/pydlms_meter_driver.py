"""Runs pydlms-client's own simulator, and says ``ready`` on the first line when it listens; arguments: PORT OPTIONS…"""

import socket
import sys
import threading
import time

from pydlms.cli import main


def announce(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            print("ready", flush=True)
            return


threading.Thread(target=announce, args=(int(sys.argv[1]),), daemon=True).start()
sys.argv = ["pydlms", "simulate", "--port", *sys.argv[1:]]
sys.exit(main())
