"""The steps, each under the number of the schema that it makes."""
