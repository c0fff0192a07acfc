"""Who may ask what, and how much: keys with roles, tenants, limits, and the record of what was asked."""
