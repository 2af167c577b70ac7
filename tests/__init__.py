"""Keep g4f's usage logs and caches out of the home directory in all that runs from here."""

import atexit
import os
import tempfile

# Set before any import of g4f, which reads it then.
config_dir = tempfile.TemporaryDirectory()
atexit.register(config_dir.cleanup)
os.environ["G4F_CONFIG_DIR"] = config_dir.name
os.environ.pop("G4F_CACHE_DIR", None)
