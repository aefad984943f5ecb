"""What people look at after a run: summary, report, pictures."""
