"""One module per subject; each function is one rule with its code and its sentence."""
