"""What a run leaves: its folder, its ledger and its manifest."""
