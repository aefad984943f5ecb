"""What a live run shows to Prometheus: measures, reports, and the exporter."""
