"""
The bundled applications, one module each. They use nothing that others could not.
"""
