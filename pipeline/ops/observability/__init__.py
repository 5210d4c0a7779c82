"""What Prometheus and Grafana read: rules that follow from a topology (`slo_rules`), alerts that are the same
for all (`alert_rules`), `dashboards`; `files` writes them. Which metrics there are: `telemetry.metrics`.
"""
