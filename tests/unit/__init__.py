"""What is around the server, module by module."""
