"""The views: derived from the record, disposable. They decide nothing."""
