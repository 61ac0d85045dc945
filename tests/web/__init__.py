"""What the server reports about itself over plain HTTP."""
