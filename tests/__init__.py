"""The environment of all that runs from here, set before g4f is imported and reads it."""

import atexit
import os
import tempfile

# Holds all that the tests write, g4f's usage logs and caches included.
directory = tempfile.TemporaryDirectory()
atexit.register(directory.cleanup)
os.environ["G4F_CONFIG_DIR"] = directory.name
os.environ.pop("G4F_CACHE_DIR", None)
# A proxy that the machine uses does not get the local requests.
os.environ["no_proxy"] = "127.0.0.1," + os.environ.get("no_proxy", "")
