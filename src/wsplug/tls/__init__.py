"""
TLS the short way: a certificate's file and its key's, read again when they change.

L{wsplug.tls.options} is for everybody; the rest needs pyOpenSSL, which the extra C{tls}
brings.
"""
