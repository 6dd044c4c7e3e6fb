"""The nouns: events with what each changes, the states they make, values."""
