"""One module per noun; each public function is the single definition of a command."""
