"""What a run's figures say: tables, statistics, and the trials that may be compared."""
