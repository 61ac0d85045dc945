"""The bundled applications, in memory."""
