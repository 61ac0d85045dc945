"""What plain HTTP requests are told of the server."""
