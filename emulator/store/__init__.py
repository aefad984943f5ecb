"""What a run keeps: its folder and files, journals, key tables, and the tables that its processes share."""
