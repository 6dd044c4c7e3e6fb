"""What differs between SQLite and PostgreSQL; the tables and how they change."""
