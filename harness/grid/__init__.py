"""What is asked: selections, the plan they make, experiments as files, and what they will cost."""
