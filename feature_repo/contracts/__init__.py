"""What everyone may import: schema, windows, templates, names, settings, steps. Standard library only."""
