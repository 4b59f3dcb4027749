"""Requests a process from the server of `tests/preloaded.py`: `ADDRESS PYTHON EXECUTABLE ARGUMENTS...`.

It is run without the libraries' folder (`python -IS`), so that it starts in a hundredth of a second.
"""

import json
import os
import socket
import sys
from pathlib import Path

address, python, executable, *arguments = sys.argv[1:]
is_code = arguments[:1] == ["-c"] or (len(arguments) == 1 and arguments[0].endswith(".py"))
if not is_code and arguments[:2] != ["-m", "snakemake"]:
    os.execv(python, [python, *arguments])
asked = {
    "arguments": arguments,
    "folder": str(Path.cwd()),
    "environment": dict(os.environ),
    # Snakemake starts its jobs with the Python that it runs in; whatever a job starts is a separate process.
    "executable": python if is_code else executable,
}
text = json.dumps(asked).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect(address)
    server.sendall(len(text).to_bytes(8, "big"))
    socket.send_fds(server, [text[:1]], [0, 1, 2])
    server.sendall(text[1:])
    code = int(server.recv(16) or 1)
sys.exit(code if code >= 0 else 128 - code)
