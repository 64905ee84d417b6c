"""Running an experiment: its document becomes a flag, by the same plan and apply as any change."""
