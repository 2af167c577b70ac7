"""What holds for all that runs from here, set before g4f is imported and reads it."""

import atexit
import faulthandler
import os
import tempfile

# Ends a run after five minutes, with a traceback: a broken script may never end.
faulthandler.dump_traceback_later(300, exit=True)

# Holds all that the tests write, g4f's usage logs and caches included.
directory = tempfile.TemporaryDirectory()
atexit.register(directory.cleanup)
os.environ.update(
    G4F_CONFIG_DIR=directory.name,
    G4F_CACHE_DIR="",
    # g4f's look-ups reach no other server, and no certificates have to be loaded.
    https_proxy="http://127.0.0.1:1",
    no_proxy="127.0.0.1",
    SSL_CERT_FILE=os.devnull,
    # A process shows a resource left open, and does not hide a missing flush.
    PYTHONWARNINGS="always::ResourceWarning",
    PYTHONUNBUFFERED="",
    PYTHONIOENCODING="utf-8",
)
