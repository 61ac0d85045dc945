"""
TLS with a certificate and a key in files, which are read again when they change.

Only L{wsplug.tls.options} works without pyOpenSSL, which the extra C{tls} installs.
"""
