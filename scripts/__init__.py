"""Programs of the project's own making: services for tests, lock files, generated pages."""
