"""From logs to what is trained and measured on."""
