"""How any view is folded, stored and asked; knows no view."""
