"""Running an experiment: its document becomes a flag, with the same plan and apply as any change."""
