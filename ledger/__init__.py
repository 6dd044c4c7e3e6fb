"""The record: decides and remembers. Knows no view and no command line."""
