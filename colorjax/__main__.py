"""`python -m colorjax` is the command `colorjax`."""

import sys

from colorjax.cli import main

sys.exit(main())
