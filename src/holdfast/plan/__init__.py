"""The continuity plan: a YAML file becomes typed objects, or an error that names the line and says what would be right."""
