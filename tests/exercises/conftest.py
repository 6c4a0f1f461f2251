import sys
from pathlib import Path

# Invented runs are the report's: one ledger, one way to invent it.
sys.path.append(str(Path(__file__).parent.parent / "report"))
