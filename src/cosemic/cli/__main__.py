"""``python -m cosemic.cli``."""

import sys

from cosemic.cli import main

sys.exit(main())
