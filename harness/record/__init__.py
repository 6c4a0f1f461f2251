"""What a run leaves: its folder, its ledger, its manifest and the certificates in it."""
