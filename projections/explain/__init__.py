"""What lies behind a figure: why, blame, changes, previews."""
